"""What this process counted, printed as OpenTelemetry's ``ConsoleMetricExporter`` prints it, at each interval."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricsData

from telemetry import guard
from telemetry.pipeline.observation import Observation

_LONGEST_OBSERVATION = 1.0
_LONGEST_WAIT = 2.0


class Source(Protocol):
    """What a process has to print."""

    def standing(self) -> MetricsData:
        """Everything as it stands: totals since the process began, and levels."""

    def observe(self) -> None:
        """Ask the application."""


class Console:
    """Prints from a daemon thread: what does not read the output holds up nobody for longer than he is ready to wait.

    Args:
        source: What there is to print.
        interval: Seconds between two times.
    """

    def __init__(self, source: Source, interval: float) -> None:
        self._source = source
        self._interval = interval
        self._exporter = ConsoleMetricExporter()
        self._observation = Observation(source.observe)
        self._waiting: deque[threading.Event] = deque()
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="telemetry-console", daemon=True)

    def start(self) -> None:
        """Print from now on."""
        self._observation.start()
        self._thread.start()

    def force_flush(self, timeout: float) -> bool:
        """Print now; whether it was printed in time."""
        if not self._thread.is_alive():
            return False
        printed = threading.Event()
        self._waiting.append(printed)
        self._wake.set()
        return printed.wait(_share_of(timeout))

    def deliver_before_exit(self, timeout: float) -> bool:
        """Print now."""
        return self.force_flush(timeout)

    def shutdown(self, timeout: float) -> None:
        """Print for the last time."""
        if self._stopped:
            return
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_share_of(timeout))
        self._observation.close()

    def leave(self) -> None:
        """Print for the last time: what this process counted, no other one prints."""
        self.shutdown(_LONGEST_WAIT)

    def after_fork_in_child(self) -> None:
        """The thread is the parent's."""

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(self._interval)
            self._wake.clear()  # before looking: what is asked for from here on wakes the next wait
            self._print()

    def _print(self) -> None:
        asked = [self._waiting.popleft() for _ in range(len(self._waiting))]
        with guard.guarded("printing metrics"):
            self._observation.observe(_LONGEST_OBSERVATION)
            self._exporter.export(self._source.standing())
        for printed in asked:
            printed.set()


def _share_of(timeout: float) -> float:
    """Seconds to wait for the output, of those that all exporters have together."""
    return min(timeout / 2, _LONGEST_WAIT)
