"""Chooses how a broker is read: by its transport."""

from __future__ import annotations

from typing import Any

from telemetry.instrumentation.celery.broker import Broker
from telemetry.instrumentation.celery.broker_amqp import AmqpBroker
from telemetry.instrumentation.celery.broker_local import LocalBroker
from telemetry.instrumentation.celery.broker_redis import RedisBroker


def options_for(driver: str, timeout: float) -> dict[str, Any]:
    """Transport options by which no reading waits longer than ``timeout`` seconds."""
    if driver == "redis":
        return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry_on_timeout": False}
    return {"read_timeout": timeout, "write_timeout": timeout} if driver == "amqp" else {}


def broker_of(connection: Any, namespace: str, identity: str) -> Broker:
    """The broker behind a connection; connects, or raises within the time-out."""
    driver = connection.transport.driver_type
    if driver == "redis":
        return RedisBroker(connection.default_channel, namespace, identity)
    if driver == "amqp":
        connection.ensure_connection(max_retries=1, timeout=connection.connect_timeout)
        return AmqpBroker(connection, namespace)
    return LocalBroker(connection.default_channel)
