"""Records how runs of one task from one queue end; publishing, queues and workers are in ``domains/celery.py``."""

from __future__ import annotations

from typing import cast

from telemetry.catalogue import celery as catalogue
from telemetry.catalogue.celery import DroppedLabels, Outcome, TaskLabels
from telemetry.metrics.catalogue_instruments import Instruments
from telemetry.metrics.series import CounterSeries, HistogramSeries


class TaskInstruments:
    """The instruments whose series belong to a task and a queue."""

    def __init__(self, instruments: Instruments) -> None:
        self.submitted = instruments.counter(catalogue.SUBMITTED)
        self.completed = instruments.counter(catalogue.COMPLETED)
        self.failed = instruments.counter(catalogue.FAILED)
        self.retried = instruments.counter(catalogue.RETRIED)
        self.dropped = instruments.counter(catalogue.DROPPED)
        self.exceptions = instruments.counter(catalogue.EXCEPTIONS)
        self.duration = instruments.histogram(catalogue.DURATION)
        self.runtime = instruments.histogram(catalogue.RUNTIME)
        self.wait = instruments.histogram(catalogue.WAIT)


class TaskSeries:
    """The series of one task and queue; those of a task that succeeds are looked up once."""

    __slots__ = ("_instruments", "_labels", "_succeeding", "_task_name", "_wait")

    def __init__(self, instruments: TaskInstruments, task_name: str, queue: str) -> None:
        self._instruments = instruments
        self._task_name = task_name
        self._labels: TaskLabels = {"task_name": task_name, "queue": queue}
        self._wait: HistogramSeries | None = None
        self._succeeding: tuple[CounterSeries, HistogramSeries, HistogramSeries] | None = None

    def waited(self, seconds: float) -> None:
        """A pool process took the task ``seconds`` after it could have."""
        (self._wait or self._look_up_wait()).record(max(0.0, seconds))

    def completed(self, seconds: float | None) -> None:
        """A run ended successfully after ``seconds`` in the pool; ``None`` where that is not known."""
        completed, duration, runtime = self._succeeding or self._look_up_succeeding()
        completed.add(1)
        if seconds is not None:
            duration.record(seconds)
            runtime.record(seconds)

    def failed(self, seconds: float | None, exception: str) -> None:
        """A run ended with an error, a hard time limit or a lost process."""
        self._instruments.failed.add(1, self._labels)
        self._instruments.exceptions.add(1, {"task_name": self._task_name, "exception": exception})
        if seconds is not None:
            self._instruments.duration.record(seconds, self._labels)
            self._runtime("failed").record(seconds)

    def retried(self, seconds: float | None) -> None:
        """A run ended by asking for a retry."""
        self._instruments.retried.add(1, self._labels)
        if seconds is not None:
            self._runtime("retried").record(seconds)

    def dropped(self, seconds: float | None, reason: str) -> None:
        """The task left without an outcome: ``revoked``, ``expired``, ``terminated``, ``ignored`` or ``rejected``."""
        self._instruments.dropped.add(1, cast("DroppedLabels", {**self._labels, "reason": reason}))
        if seconds is not None:
            self._runtime("dropped").record(seconds)

    def _look_up_wait(self) -> HistogramSeries:
        """Where a label value was replaced, every event is looked up, so that it counts as an overflow."""
        series = self._instruments.wait.bind(self._labels)
        if self._instruments.wait.is_exact(self._labels):
            self._wait = series
        return series

    def _look_up_succeeding(self) -> tuple[CounterSeries, HistogramSeries, HistogramSeries]:
        completed, duration = self._instruments.completed, self._instruments.duration
        series = completed.bind(self._labels), duration.bind(self._labels), self._runtime("completed")
        if completed.is_exact(self._labels) and duration.is_exact(self._labels):
            self._succeeding = series
        return series

    def _runtime(self, outcome: Outcome) -> HistogramSeries:
        return self._instruments.runtime.bind({"task_name": self._task_name, "outcome": outcome})
