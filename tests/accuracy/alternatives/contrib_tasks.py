"""A Celery application measured as the contrib instrumentor's documentation says: in each pool process, once it is there."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from celery import Celery
from celery.signals import worker_process_init
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

app = Celery("contrib", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1)


@worker_process_init.connect(weak=False)
def _measure(**_: Any) -> None:
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    CeleryInstrumentor().instrument()


@app.task
def succeed() -> None:
    """Ends well."""


@app.task
def fail() -> None:
    """Raises."""
    raise ValueError


@app.task
def killed() -> None:
    """Its process is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(time_limit=1)
def hard_limit() -> None:
    """Runs into the hard time limit."""
    time.sleep(60)
