"""The export thread of a process: at each interval it observes, and delivers its box, those of the dead, and levels."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from opentelemetry.sdk.metrics.export import MetricsData

from telemetry import guard
from telemetry.box.box import Box
from telemetry.pipeline.adoption import Adoption
from telemetry.pipeline.delivery import Delivery, Export
from telemetry.pipeline.observation import Observation
from telemetry.pipeline.otlp import amounts_of, listed

_logger = logging.getLogger("telemetry")

FIRST_EXPORT = 1.0
ANNOUNCE_EVERY = 30.0
EXPIRE_EVERY = 600.0  # while nothing can be delivered
LONGEST_OBSERVATION = 5.0
CLOSING = 0.2
LEAVING = 1.0
_LONGEST_LAST_PAUSE = 1.0


class Source(Protocol):
    """What a process has to export.

    Attributes:
        is_forked: Whether it adds to series of its parent.
    """

    is_forked: bool

    def boxes(self) -> list[Box]:
        """Its box, if it has one, and those before that are not delivered yet."""

    def leave_no_box(self) -> None:
        """Remove its box if it is done."""

    def exports(self, *, announce: bool) -> tuple[list[Export], bool]:
        """What its boxes have to deliver now, and whether some of it was prepared before."""

    def levels(self) -> MetricsData | None:
        """How things stand."""

    def route(self) -> bytes:
        """By which name it goes to a collector."""

    def observe(self) -> None:
        """Ask the application."""


class PeriodicExport:
    """Exports from a daemon thread that never delays the exit of its process.

    A counter that did not move is left out of an export, unless it is new. It is named again every ``ANNOUNCE_EVERY``
    seconds and after an outage, so that a collector that lost its memory learns every series.

    Args:
        source: What there is to export.
        delivery: Sends it.
        adoption: Sends what dead processes left; ``None`` where nothing outlives a process.
        interval: Seconds between exports.
        timeout: Seconds one export may take.
    """

    def __init__(
        self, source: Source, delivery: Delivery, adoption: Adoption | None, interval: float, timeout: float
    ) -> None:
        self._source = source
        self._delivery = delivery
        self._adoption = adoption
        self._observation = Observation(source.observe)
        self._interval = interval
        self._timeout = timeout
        self._wake = threading.Event()
        self._flushed = threading.Condition()
        self._flushes_wanted = 0
        self._flushes_done = 0
        self._last_flush_delivered = True
        self._stopping = self._leaving = False
        self._exit_at = float("inf")
        self._announced_at: float | None = None
        self._expires_at = float("-inf")
        self._began = time.time()
        self._thread = threading.Thread(target=self._run, name="telemetry-export", daemon=True)

    def start(self) -> None:
        """Start the export thread."""
        self._observation.start()
        self._thread.start()

    def force_flush(self, timeout: float = 10.0) -> bool:
        """Export now.

        Returns:
            Whether the collector acknowledged everything within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
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
        deadline = time.monotonic() + (min(timeout, CLOSING) if self._owes_nothing() else timeout)

        def export() -> bool:
            return self.force_flush(deadline - time.monotonic())

        if not self._thread.is_alive():
            return False
        if self._until_delivered(export, deadline):
            self._source.leave_no_box()
            return True
        self._report_undelivered("an exit now")
        return False

    def shutdown(self, timeout: float = 5.0) -> None:
        """Export what is left within the deadline; what stays undelivered is logged with its totals."""
        if self._stopping:
            return
        if self._owes_nothing():
            timeout = min(timeout, CLOSING)
        closing = min(CLOSING, timeout / 4)
        self._exit_at = time.monotonic() + timeout - closing
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(max(0.0, self._exit_at - time.monotonic()))
        else:  # it could not be started, or it was killed
            self._export_for_the_last_time()
        self._delivery.close()
        self._observation.close()
        self._thread_ends(closing)
        self._report_undelivered("the exit")

    def _owes_nothing(self) -> bool:
        """Whether nothing was counted that a collector lacks which does not answer: an exit does not wait for zeros."""
        if self._delivery.has_delivered or any(box.undelivered() for box in self._source.boxes()):
            return False
        return self._adoption is None or not self._adoption.awaits_since(self._began)

    def leave(self) -> None:
        """Stop without another export: somebody else delivers what is in the box.

        An export on its way gets a moment for its answer: without it the heir repeats what the collector has, and that
        counts twice where sequences are not known.
        """
        self._leaving = self._stopping = True
        self._exit_at = time.monotonic()
        self._wake.set()
        self._thread_ends(LEAVING)
        self._delivery.close()
        self._observation.close()
        self._thread_ends(CLOSING)

    def after_fork_in_child(self) -> None:
        """The thread and the connection are the parent's."""

    def _run(self) -> None:
        # A new process names its series soon; a forked child adds to those of its parent.
        pause = self._interval if self._source.is_forked else min(self._interval, FIRST_EXPORT)
        while True:
            self._wake.wait(pause)
            self._wake.clear()  # before looking: what is asked for from here on wakes the next wait
            if self._stopping:
                break
            self._export()
            pause = self._delivery.pause(self._interval)
        if not self._leaving:
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
        deadline = time.monotonic() + timeout
        try:
            self._observation.observe(min(LONGEST_OBSERVATION, timeout / 2))
            delivered = self._export_totals(deadline)
            if self._leaving:
                return delivered
            if self._adoption is not None:
                self._look_after_the_dead(self._adoption, deadline, delivered=delivered)
            if delivered:
                self._export_levels(deadline)
        except Exception as error:
            guard.swallow(error, "exporting metrics")
            return False
        return delivered

    def _look_after_the_dead(self, adoption: Adoption, deadline: float, *, delivered: bool) -> None:
        if delivered:
            adoption.adopt(self._source.route(), deadline - time.monotonic())
        elif not self._stopping and time.monotonic() >= self._expires_at:
            self._expires_at = time.monotonic() + EXPIRE_EVERY
            adoption.expire()

    def _export_totals(self, deadline: float) -> bool:
        announces = self._announces()
        for _ in range(2):  # what was on its way before, then what was counted since
            exports, repeats = self._source.exports(announce=announces)
            if not self._delivery.send(exports, deadline - time.monotonic()):
                return False
            if not repeats:
                break
        if announces:
            self._announced_at = time.monotonic()
        return True

    def _announces(self) -> bool:
        if self._announced_at is None or self._delivery.is_failing:
            return True
        return time.monotonic() - self._announced_at >= ANNOUNCE_EVERY

    def _export_levels(self, deadline: float) -> None:
        levels = self._source.levels()
        if levels is not None:
            self._delivery.send_levels(levels, deadline - time.monotonic(), self._source.route().hex())

    def _thread_ends(self, timeout: float) -> None:
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _report_undelivered(self, what: str) -> None:
        with guard.guarded("reporting what was not delivered"):
            boxes = self._source.boxes()
            lost = amounts_of(moved for box in boxes for moved in box.in_memory())
            kept = amounts_of(moved for box in boxes for moved in box.undelivered())
            if lost:
                _logger.error("the collector has not taken the last metrics; %s loses: %s", what, listed(lost))
            elif kept:
                _logger.warning(
                    "the collector has not taken the last metrics; they wait in %s for the next process that delivers "
                    "there, or for `python -m telemetry deliver`: %s",
                    next((box.path.parent for box in boxes if box.path), None),
                    listed(kept),
                )
