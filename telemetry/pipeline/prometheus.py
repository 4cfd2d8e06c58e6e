"""The one-process sink: an endpoint of this process that shows the documented series without a collector."""

from __future__ import annotations

import logging

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricReader
from prometheus_client import CollectorRegistry, start_http_server

from telemetry.pipeline.settings import Settings

_logger = logging.getLogger("telemetry")


def build_prometheus_reader(settings: Settings) -> MetricReader:
    """A reader whose series are served at ``http://host:port/metrics``.

    A port that is taken is logged and leaves the application without the endpoint; it never stops it.
    """
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=registry)
    try:
        start_http_server(settings.prometheus_port, settings.prometheus_host, registry)
    except OSError as error:
        _logger.error(  # noqa: TRY400 - a sentence, not a stack trace
            "OTEL_EXPORTER_PROMETHEUS_PORT=%d cannot be used (%s): choose a free port; with several processes "
            "on one host set OTEL_METRICS_EXPORTER=otlp and run a collector",
            settings.prometheus_port,
            error.strerror,
        )
    return reader
