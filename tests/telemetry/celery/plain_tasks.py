"""An application that knows nothing of telemetry; what measures it comes from the command that starts it."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("plain", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.update(broker_connection_retry_on_startup=True, task_default_queue="plain")


@app.task
def succeed() -> None:
    """Ends well."""


@app.task
def fail() -> None:
    """Raises."""
    raise ValueError
