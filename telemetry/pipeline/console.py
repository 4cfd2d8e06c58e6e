"""What this process counted, printed as OpenTelemetry's ``ConsoleMetricExporter`` prints it, at each interval."""

from __future__ import annotations

import threading
from typing import Protocol

from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricsData

from telemetry import guard
from telemetry.pipeline.observation import Observation

_LONGEST_OBSERVATION = 1.0


class Source(Protocol):
    """What a process has to print."""

    def standing(self) -> MetricsData:
        """Everything as it stands: totals since the process began, and levels."""

    def observe(self) -> None:
        """Ask the application."""


class Console:
    """Prints from a daemon thread.

    Args:
        source: What there is to print.
        interval: Seconds between two times.
    """

    def __init__(self, source: Source, interval: float) -> None:
        self._source = source
        self._interval = interval
        self._exporter = ConsoleMetricExporter()
        self._observation = Observation(source.observe)
        self._printing = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry-console", daemon=True)

    def start(self) -> None:
        """Print from now on."""
        self._thread.start()

    def force_flush(self, timeout: float) -> bool:
        """Print now."""
        with guard.guarded("printing metrics"), self._printing:
            self._observation.observe(min(timeout, _LONGEST_OBSERVATION))
            self._exporter.export(self._source.standing())
        return True

    def deliver_before_exit(self, timeout: float) -> bool:
        """Print now."""
        return self.force_flush(timeout)

    def shutdown(self, timeout: float) -> None:
        """Print for the last time."""
        if not self._stopped.is_set():
            self._stopped.set()
            self.force_flush(timeout)

    def leave(self) -> None:
        """Print for the last time: what this process counted, no other one prints."""
        self.shutdown(_LONGEST_OBSERVATION)

    def after_fork_in_child(self) -> None:
        """The thread is the parent's."""

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            self.force_flush(_LONGEST_OBSERVATION)
