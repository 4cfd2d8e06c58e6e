"""The export thread of a process: collects deltas at an interval and hands them to the delivery."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData

from telemetry import guard
from telemetry.pipeline.delivery import Delivery, listed
from telemetry.pipeline.handover import Recorded, adopted, portable
from telemetry.pipeline.merge import merge
from telemetry.pipeline.parts import totals
from telemetry.pipeline.resource import is_forked_child

_logger = logging.getLogger("telemetry")

FIRST_EXPORT = 1.0
CLOSING = 0.2
_LONGEST_LAST_PAUSE = 1.0

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
        self._draining = False
        self._exit_at = float("inf")
        self._adopted: Recorded = []
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

    def deliver_before_exit(self, timeout: float) -> bool:
        """Export until everything is acknowledged, in a process whose end may come unseen; it may also go on.

        Args:
            timeout: Seconds it may take.

        Returns:
            Whether everything was acknowledged; what was not is logged with its totals.
        """
        deadline = time.monotonic() + timeout

        def export() -> bool:
            return self.force_flush(1000 * (deadline - time.monotonic()))

        if not self._thread.is_alive() or self._until_delivered(export, deadline):
            return self._thread.is_alive()
        waiting = totals(self._delivery.pending)
        _logger.error("the collector has not taken the last metrics yet; an exit now loses: %s", listed(waiting))
        return False

    def shutdown(self, timeout_millis: float = 5_000, **kwargs: object) -> None:
        """Export what is left within the deadline; what stays undelivered is logged with its totals."""
        if self._stopping:
            return
        closing = min(CLOSING, timeout_millis / 4000)
        self._exit_at = time.monotonic() + timeout_millis / 1000 - closing
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(max(0.0, self._exit_at - time.monotonic()))
        else:  # it could not be started, or it was killed
            self._export_for_the_last_time()
        self._delivery.close()
        self._thread_ends(closing)
        self._report_undelivered()

    def adopt(self, recorded: Recorded) -> None:
        """Export what a child handed over with the next export; called while collecting, in the export thread."""
        self._adopted += recorded

    def drain(self, timeout: float) -> Recorded:
        """Stop without another export.

        Args:
            timeout: Seconds that an export under way may still take.

        Returns:
            What was recorded and not acknowledged.
        """
        self._draining = self._stopping = True
        self._wake.set()
        self._thread_ends(timeout / 2)
        self._delivery.close()
        self._thread_ends(timeout / 2)
        return portable(self._undelivered())

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        self._collected = metrics_data

    def _run(self) -> None:
        # A new process names its series soon; a forked child adds to those of its parent.
        pause = self._interval if is_forked_child() else min(self._interval, FIRST_EXPORT)
        while True:
            self._wake.wait(pause)
            if self._draining:
                return
            if self._stopping:
                break
            self._wake.clear()
            self._export()
            pause = self._delivery.pause(self._interval)
        self._export_for_the_last_time()

    def _export(self) -> bool:
        with self._flushed:
            wanted = self._flushes_wanted
        delivered = self._export_once(min(self._timeout, self._exit_at - time.monotonic()))
        with self._flushed:
            self._flushes_done = wanted
            self._last_flush_delivered = delivered
            self._flushed.notify_all()
        return delivered

    def _export_for_the_last_time(self) -> None:
        self._until_delivered(self._export, self._exit_at)

    def _until_delivered(self, export: Callable[[], bool], deadline: float) -> bool:
        """Try until the deadline, as long as there is something to gain."""
        pause = 0.1
        while not export():
            pause = min(pause * 2, _LONGEST_LAST_PAUSE)
            if not self._delivery.is_worth_another_try() or time.monotonic() + pause >= deadline:
                return False
            time.sleep(pause)
        return True

    def _export_once(self, timeout: float) -> bool:
        try:
            return self._delivery.deliver(self._collect_all(), timeout)
        except Exception as error:
            guard.swallow(error, "exporting metrics")
            return False

    def _collect_all(self) -> MetricsData | None:
        self.collect()
        collected, self._collected = self._collected, None
        if collected is not None and self._adopted:
            collected, self._adopted = adopted(collected, self._adopted), []
        return collected

    def _undelivered(self) -> MetricsData | None:
        collected, pending = self._collect_all(), self._delivery.pending
        return pending if collected is None else merge(pending, collected)

    def _thread_ends(self, timeout: float) -> None:
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _report_undelivered(self) -> None:
        with guard.guarded("reporting what was not delivered"):
            lost = totals(self._undelivered())
            if lost:
                _logger.error(
                    "the collector did not take the last metrics before the exit deadline; lost: %s", listed(lost)
                )
