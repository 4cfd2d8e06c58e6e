"""Loss-free delivery: what the collector did not acknowledge goes out with the next export."""

from __future__ import annotations

import logging

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData, Sum

from telemetry.pipeline.merge import merge

_logger = logging.getLogger("telemetry")


class Delivery:
    """Hands exports to an OTLP exporter and keeps what it could not deliver.

    Memory is bounded by the number of series, not by the length of an outage. Not thread-safe: the one export
    thread of a process owns it.

    Args:
        exporter: Made by this process, never inherited from its parent.
    """

    def __init__(self, exporter: MetricExporter) -> None:
        self._exporter = exporter
        self._pending: MetricsData | None = None
        self._failures = 0

    @property
    def pending(self) -> MetricsData | None:
        """What is recorded and not acknowledged."""
        return self._pending

    def deliver(self, collected: MetricsData | None, timeout: float) -> bool:
        """Send what is pending and what was collected, as one export.

        Args:
            collected: The deltas since the last collection.
            timeout: Seconds the exporter may take.

        Returns:
            Whether the collector acknowledged everything.
        """
        if collected is not None:
            self._pending = merge(self._pending, collected)
        if self._pending is None:
            return True
        if self._send(self._pending, timeout):
            self._pending = None
            self._report_recovery()
            return True
        self._report_failure()
        return False

    def close(self) -> None:
        """Release the connection and interrupt a retry that is waiting."""
        self._exporter.shutdown()

    def _send(self, data: MetricsData, timeout: float) -> bool:
        with suppress_instrumentation():
            return self._exporter.export(data, timeout_millis=timeout * 1000) is MetricExportResult.SUCCESS

    def _report_failure(self) -> None:
        self._failures += 1
        if self._failures == 1:
            _logger.warning("metrics could not be delivered to the collector; they are kept and sent again")

    def _report_recovery(self) -> None:
        if self._failures:
            _logger.warning("metrics are delivered again after %d failed exports; nothing was lost", self._failures)
        self._failures = 0


def totals(data: MetricsData | None) -> dict[str, float]:
    """Sum of every delta counter and count of every histogram, by metric name; for the log of a failed exit."""
    result: dict[str, float] = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if isinstance(metric.data, Sum) and not metric.data.is_monotonic:
                    continue
                amount = sum(getattr(p, "count", getattr(p, "value", 0)) for p in metric.data.data_points)
                if amount:
                    result[metric.name] = result.get(metric.name, 0) + amount
    return result
