"""Records how punctual beat is; what it publishes is counted as everything published, in ``domains/celery.py``."""

from __future__ import annotations

from collections.abc import Callable

from telemetry.catalogue import celery as catalogue
from telemetry.catalogue._labels import NoLabels
from telemetry.metrics.bound import Reading
from telemetry.metrics.catalogue_instruments import Instruments


class BeatRecorder:
    """The lag of published tasks, and how long the next one is overdue."""

    def __init__(self, instruments: Instruments) -> None:
        self._lag = instruments.histogram(catalogue.BEAT_LAG)
        self._overdue = instruments.observed_level(catalogue.BEAT_OVERDUE)

    def published(self, task_name: str, lag: float) -> None:
        """Beat published a task ``lag`` seconds after it was due."""
        self._lag.record(max(0.0, lag), {"task_name": task_name})

    def read_overdue_from(self, overdue: Callable[[], float]) -> Reading[NoLabels]:
        """Take the overdue seconds from the scheduler at each collection until closed."""

        def read() -> list[tuple[NoLabels, float]]:
            return [({}, max(0.0, overdue()))]

        return self._overdue.read_from(read)
