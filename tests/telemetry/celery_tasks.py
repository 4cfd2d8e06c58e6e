"""The Celery application of test_celery.py: a task for each way a task can end."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject
from kombu import Queue

import telemetry

telemetry.configure("test-worker")
app = Celery("exact", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.update(
    task_queues=[Queue("fast"), Queue("slow")],
    task_default_queue="fast",
    broker_transport_options={"priority_steps": [0, 3, 6, 9], "queue_order_strategy": "priority"},
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)
telemetry.instrument_celery(app)


@app.task
def succeed() -> None:
    """Ends well, and something is measured inside it."""
    telemetry.get().llm.cache_hit(provider="p", model="inside")


@app.task
def fail() -> None:
    """Raises."""
    raise ValueError


@app.task(bind=True, max_retries=2, default_retry_delay=0)
def retry(self: Any) -> None:
    """Asks for two retries and then fails."""
    raise self.retry(exc=KeyError("k"))


@app.task
def die() -> None:
    """Its process is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(time_limit=1)
def hang() -> None:
    """Runs into the hard time limit."""
    time.sleep(30)


@app.task(soft_time_limit=1)
def hang_softly() -> None:
    """Runs into the soft time limit."""
    time.sleep(30)


@app.task
def ignore() -> None:
    """Has no outcome."""
    raise Ignore


@app.task
def reject() -> None:
    """Is refused by the worker."""
    raise Reject("no", requeue=False)


@app.task
def wait() -> None:
    """Takes a moment."""
    time.sleep(0.2)


@app.task
def spread() -> None:
    """Publishes from within a task."""
    succeed.apply_async(queue="slow")
