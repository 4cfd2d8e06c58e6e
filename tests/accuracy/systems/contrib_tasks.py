"""The tasks of the Celery tests, measured as contrib's documentation says: in each pool process, once it is there."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_process_init
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from tests.accuracy.systems.unmeasured import app

__all__ = ["app"]


@worker_process_init.connect(weak=False)
def _measure(**_: Any) -> None:
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    CeleryInstrumentor().instrument()
