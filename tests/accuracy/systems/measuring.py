"""What measures the application that replicas serve, as the documentation of each says; `MEASURED_BY` chooses."""

from __future__ import annotations

from fastapi import FastAPI


def ours(app: FastAPI) -> None:
    """Two lines."""
    import telemetry

    telemetry.configure("replica")
    telemetry.instrument(app)


def contrib(app: FastAPI) -> None:
    """OpenTelemetry's SDK and contrib's instrumentor."""
    from opentelemetry import metrics
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    FastAPIInstrumentor.instrument_app(app)


def client(app: FastAPI) -> None:
    """prometheus_client, by the instrumentator for FastAPI."""
    from prometheus_fastapi_instrumentator import Instrumentator

    Instrumentator().instrument(app)
