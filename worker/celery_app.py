"""The Celery app of the chat backend; imports nothing of `app`, so that app, worker and Flower can all load it."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from celery import Celery
from kombu.entity import Queue

import telemetry
from worker import logs, transport

QUEUES: Final = ("high", "medium", "low")
SOFT_TIME_LIMIT_SECONDS: Final = 120
TIME_LIMIT_SECONDS: Final = 150
METRICS: Final = ("app.catalogue.business", "app.catalogue.storage")  # by name: only what runs tasks needs them


def results_at(url: str) -> str:
    """Name the Redis result backend that does not subscribe to every published task (see worker/results.py)."""
    return f"worker.results:QuietRedisBackend+{url}" if url.startswith(("redis://", "rediss://")) else url


def make_celery_app() -> Celery:
    """Return the Celery app, configured from the environment."""
    transport.install()
    made = Celery(
        "chat",
        broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/1"),
        include=["worker.tasks", "worker.sharing"],
    )
    # Not the `backend` argument: Celery reads CELERY_RESULT_BACKEND itself and would prefer the plain URL.
    made.backend_cls = results_at(os.environ.get("CELERY_RESULT_BACKEND", "redis://127.0.0.1:6379/2"))
    made.conf.update(_CONFIGURATION)
    return made


_CONFIGURATION: dict[str, Any] = {
    # A message has one of four priority sub-queues; workers empty them, and the queues, in order.
    "broker_transport_options": {
        "priority_steps": [0, 3, 6, 9],
        "queue_order_strategy": "priority",
        "visibility_timeout": 10 * TIME_LIMIT_SECONDS,
        "socket_connect_timeout": 2,
    },
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": 2,
    "redis_socket_connect_timeout": 2,
    "redis_socket_timeout": 5,
    "result_expires": 24 * 3600,
    "task_queues": [Queue(name, routing_key=name) for name in QUEUES],
    "task_default_queue": "low",
    "task_create_missing_queues": False,
    "task_acks_late": True,
    "task_track_started": False,
    "task_soft_time_limit": SOFT_TIME_LIMIT_SECONDS,
    "task_time_limit": TIME_LIMIT_SECONDS,
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "worker_prefetch_multiplier": 1,
    "worker_send_task_events": True,
    "timezone": "UTC",
    "beat_schedule": {
        "delete-expired": {
            "task": "maintenance.delete_expired",
            "schedule": 600.0,
            "options": {"queue": "low", "priority": 9, "expires": 600},
        }
    },
}

celery_app = make_celery_app()

# Flower and `celery inspect` load this module too; only what runs or publishes tasks is measured.
# The app reports as chat-app and instruments `celery_app` itself.
if {"worker", "beat"} & set(sys.argv[1:]):
    logs.install(celery_app.tasks)
    telemetry.configure(service_name="chat-worker", catalogue=METRICS)
    telemetry.instrument_celery(celery_app)
