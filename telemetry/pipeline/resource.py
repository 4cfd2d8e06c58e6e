"""Who this process is: service, namespace, environment and an instance identity that survives a fork recognisably."""

from __future__ import annotations

import os
import socket
from functools import cache
from urllib.parse import unquote

from opentelemetry.sdk.resources import Resource

from telemetry.settings.settings import Settings

INSTANCE = "service.instance.id"
PID = "process.pid"
FIRST_PROCESS = os.getpid()


def is_forked_child() -> bool:
    """Whether the calling process was forked after telemetry was imported."""
    return os.getpid() != FIRST_PROCESS


def build_resource(settings: Settings) -> Resource:
    """The resource of the calling process; a forked child gets an identity of its own.

    An instance id set by the user (``OTEL_RESOURCE_ATTRIBUTES``) is kept; a forked child appends its process id.
    """
    given = _given_instance()
    if given:
        instance = f"{given}.{os.getpid()}" if is_forked_child() else given
    else:
        instance = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(2).hex()}"
    own: dict[str, str | int] = {
        "service.name": settings.service_name,
        "deployment.environment.name": settings.environment,
        INSTANCE: instance,
    }
    if settings.service_namespace:
        own["service.namespace"] = settings.service_namespace
    detected = _detected()
    if PID in detected.attributes:
        own[PID] = os.getpid()
    return detected.merge(Resource(own))


@cache
def _detected() -> Resource:
    """What the SDK's detectors find, once for a process and all it forks: they take milliseconds and threads."""
    return Resource.create()


def _given_instance() -> str | None:
    for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == INSTANCE and value.strip():
            return unquote(value.strip())
    return None
