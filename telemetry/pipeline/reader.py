"""The export thread of a process: collects deltas at an interval and hands them to the delivery."""

from __future__ import annotations

import logging
import threading
import time

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData

from telemetry import guard
from telemetry.pipeline.delivery import Delivery, totals

_logger = logging.getLogger("telemetry")

DELTA_FOR_TOTALS: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    ObservableCounter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
    UpDownCounter: AggregationTemporality.CUMULATIVE,
    ObservableUpDownCounter: AggregationTemporality.CUMULATIVE,
}


class DeltaReader(MetricReader):
    """Periodic delta exports that lose nothing, from a daemon thread that never delays the exit.

    The SDK's own periodic reader is not used: its locks are inherited by a fork, its exit takes up to 30 s and a
    failed export is dropped.

    Args:
        delivery: Where collections go.
        interval: Seconds between exports.
        timeout: Seconds one export may take.
    """

    def __init__(self, delivery: Delivery, interval: float, timeout: float) -> None:
        super().__init__(preferred_temporality=DELTA_FOR_TOTALS)
        self._delivery = delivery
        self._interval = interval
        self._timeout = timeout
        self._wake = threading.Event()
        self._flushed = threading.Condition()
        self._flushes_wanted = 0
        self._flushes_done = 0
        self._last_flush_delivered = True
        self._stopping = False
        self._collected: MetricsData | None = None
        self._thread = threading.Thread(target=self._run, name="telemetry-export", daemon=True)

    def start(self) -> None:
        """Start the export thread."""
        self._thread.start()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Export now.

        Returns:
            Whether the collector acknowledged everything within the timeout.
        """
        deadline = time.monotonic() + timeout_millis / 1000
        with self._flushed:
            self._flushes_wanted += 1
            wanted = self._flushes_wanted
            self._wake.set()
            done = self._flushed.wait_for(
                lambda: self._flushes_done >= wanted or not self._thread.is_alive(),
                max(0.0, deadline - time.monotonic()),
            )
            return done and self._flushes_done >= wanted and self._last_flush_delivered

    def shutdown(self, timeout_millis: float = 5_000, **kwargs: object) -> None:
        """Export what is left within the deadline; what stays undelivered is logged with its totals."""
        if self._stopping:
            return
        deadline = time.monotonic() + timeout_millis / 1000
        self._stopping = True
        delivered = self.force_flush(timeout_millis)
        if not delivered:
            self._delivery.close()
            self._thread.join(max(0.0, min(0.1, deadline - time.monotonic())))
            self._report_undelivered()
        else:
            self._thread.join(max(0.0, deadline - time.monotonic()))
            self._delivery.close()

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        self._collected = metrics_data

    def _run(self) -> None:
        next_export = time.monotonic() + self._interval
        while not self._stopping or self._flushes_done < self._flushes_wanted:
            self._wake.wait(max(0.0, next_export - time.monotonic()))
            self._wake.clear()
            with self._flushed:
                wanted = self._flushes_wanted
            delivered = self._export_once()
            next_export = time.monotonic() + self._interval
            with self._flushed:
                self._flushes_done = wanted
                self._last_flush_delivered = delivered
                self._flushed.notify_all()

    def _export_once(self) -> bool:
        try:
            self.collect()
            collected, self._collected = self._collected, None
            return self._delivery.deliver(collected, self._timeout)
        except Exception as error:
            guard.swallow(error, "exporting metrics")
            return False

    def _report_undelivered(self) -> None:
        lost = totals(self._delivery.pending)
        if lost:
            listed = ", ".join(f"{name} {amount:g}" for name, amount in sorted(lost.items()))
            _logger.error("the collector did not take the last metrics before the exit deadline; lost: %s", listed)
