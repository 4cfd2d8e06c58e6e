"""The one-process sink: an endpoint of this process that shows the documented series without a collector."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import replace
from wsgiref.simple_server import WSGIServer

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from prometheus_client import CollectorRegistry, Metric, start_http_server

from telemetry.pipeline import fork
from telemetry.pipeline.resource import is_forked_child
from telemetry.pipeline.settings import Settings

_logger = logging.getLogger("telemetry")


def build_prometheus_reader(settings: Settings) -> MetricReader:
    """A reader whose series are served at ``http://host:port/metrics``.

    A port that is taken is logged and leaves the application without the endpoint; it never stops it.
    """
    return PrometheusEndpoint(settings)


class _OneScrapeAtATime(CollectorRegistry):
    """The reader mixes up scrapes that overlap: one would show every series twice, the other none."""

    def __init__(self) -> None:
        super().__init__()
        self._scraping = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        """Every family, read at once."""
        with self._scraping:
            return iter(list(super().collect()))


class PrometheusEndpoint(PrometheusMetricReader):
    """The reader and its HTTP server, which belongs to the process that opened it."""

    def __init__(self, settings: Settings) -> None:
        registry = _OneScrapeAtATime()
        super().__init__(disable_target_info=True, scope_info_enabled=False, registry=registry)
        self._server: WSGIServer | None = None
        if is_forked_child():
            _logger.warning(
                "this process was forked; what it measures is not on the endpoint of its parent: "
                "with several processes set OTEL_METRICS_EXPORTER=otlp and run a collector"
            )
            return
        try:
            self._server, _ = start_http_server(settings.prometheus_port, settings.prometheus_host, registry)
        except OSError as error:
            _logger.error(  # noqa: TRY400 - a sentence, not a stack trace
                "OTEL_EXPORTER_PROMETHEUS_PORT=%d cannot be used (%s): choose a free port; with several processes "
                "on one host set OTEL_METRICS_EXPORTER=otlp and run a collector",
                settings.prometheus_port,
                error.strerror,
            )
        fork.register(self)

    def after_fork_in_child(self) -> None:
        """Let go of the inherited socket: nobody would answer on it once the parent is gone."""
        if self._server is not None:
            self._server.socket.close()
            self._server = None

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """There is nothing to flush: a scrape collects. A collection now would be shown again by the next one."""
        return True

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        super()._receive_metrics(_without_units(metrics_data), timeout_millis, **kwargs)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Close the endpoint."""
        server, self._server = self._server, None
        if server is not None:
            super().shutdown(timeout_millis, **kwargs)
            server.shutdown()
            server.server_close()


def _without_units(data: MetricsData) -> MetricsData:
    """The exporter would write units into the names, which are the documented ones already."""
    resources = []
    for resource in data.resource_metrics:
        scopes = [
            replace(scope, metrics=[replace(metric, unit="") for metric in scope.metrics])
            for scope in resource.scope_metrics
        ]
        resources.append(replace(resource, scope_metrics=scopes))
    return MetricsData(resource_metrics=resources)
