"""The tasks of these tests, traced by contrib's instrumentor beside our measuring."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery.signals import worker_process_init
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import telemetry
from tests.telemetry.celery.tasks import fail, succeed

__all__ = ["fail", "succeed", "trace_this_process"]


def trace_this_process(**_: Any) -> None:
    """Write every span of this process into a file."""
    provider = TracerProvider()
    file = Path(os.environ["SPANS"]).open("a")  # noqa: SIM115 - for the life of the process
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=file)))
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument(meter_provider=telemetry.get().meter_provider)


worker_process_init.connect(trace_this_process, weak=False)
