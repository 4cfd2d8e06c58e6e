"""The Celery application that `benchmarks/celery.py` measures, instrumented as the variable VARIANT says."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

app = Celery("benchmark", broker=os.environ["BROKER"])
app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True, worker_prefetch_multiplier=4)


@app.task
def nothing() -> None:
    """Does nothing."""


def _contrib(**_: Any) -> None:
    """As contrib's documentation says: in each pool process, once it is there."""
    from opentelemetry import metrics
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    CeleryInstrumentor().instrument()


match os.environ.get("VARIANT"):
    case "ours":
        import telemetry

        telemetry.configure("benchmark")
        telemetry.instrument_celery(app)
    case "contrib":
        worker_process_init.connect(_contrib, weak=False)
