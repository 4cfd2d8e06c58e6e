"""Records tasks, queues and workers; declared in ``catalogue/celery.py``, hooked in ``instrumentation/celery.py``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from telemetry.catalogue import celery as catalogue
from telemetry.catalogue.celery import DroppedLabels, TaskLabels
from telemetry.domains.errors import ErrorsRecorder
from telemetry.instruments import Instruments


class CeleryRecorder:
    """Submissions where they are published, outcomes where the pool is owned, queues and workers as read."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder) -> None:
        self._submitted = instruments.counter(catalogue.SUBMITTED)
        self._completed = instruments.counter(catalogue.COMPLETED)
        self._failed = instruments.counter(catalogue.FAILED)
        self._retried = instruments.counter(catalogue.RETRIED)
        self._dropped = instruments.counter(catalogue.DROPPED)
        self._duration = instruments.histogram(catalogue.DURATION)
        self._queue_length = instruments.fact(catalogue.QUEUE_LENGTH)
        self._active_workers = instruments.fact(catalogue.ACTIVE_WORKERS)
        self._errors = errors

    def declare(self, task_names: Iterable[str], queues: Iterable[str]) -> None:
        """Let the series of known tasks and queues exist before their first event."""
        known_queues = list(queues)
        for task_name in task_names:
            for queue in known_queues:
                labels: TaskLabels = {"task_name": task_name, "queue": queue}
                for counter in (self._submitted, self._completed, self._failed, self._retried):
                    counter.declare(labels)

    def submitted(self, task_name: str, queue: str) -> None:
        """A task was published; not called for a retry."""
        self._submitted.add(1, {"task_name": task_name, "queue": queue})

    def completed(self, task_name: str, queue: str, seconds: float | None) -> None:
        """A task ended successfully after ``seconds`` in the pool."""
        labels: TaskLabels = {"task_name": task_name, "queue": queue}
        self._completed.add(1, labels)
        if seconds is not None:
            self._duration.record(seconds, labels)

    def failed(self, task_name: str, queue: str, seconds: float | None) -> None:
        """A task ended with an error, a hard time limit or a lost process after ``seconds`` in the pool."""
        labels: TaskLabels = {"task_name": task_name, "queue": queue}
        self._failed.add(1, labels)
        if seconds is not None:
            self._duration.record(seconds, labels)

    def retried(self, task_name: str, queue: str) -> None:
        """An attempt of a task ended by asking for a retry."""
        self._retried.add(1, {"task_name": task_name, "queue": queue})

    def dropped(self, task_name: str, queue: str, reason: str) -> None:
        """A task left without an outcome: ``revoked``, ``expired``, ``terminated``, ``ignored`` or ``rejected``."""
        self._dropped.add(1, cast("DroppedLabels", {"task_name": task_name, "queue": queue, "reason": reason}))

    def observe_queue_lengths(self, lengths: Mapping[str, int]) -> None:
        """How many tasks wait in each queue of the broker; replaces the last reading."""
        self._queue_length.set_all([({"queue": queue}, length) for queue, length in lengths.items()])

    def observe_workers(self, alive: Mapping[str, bool]) -> None:
        """Which of the known worker nodes are alive; replaces the last reading."""
        self._active_workers.set_all([({"hostname": name}, float(up)) for name, up in alive.items()])

    def forget_readings(self) -> None:
        """This process has no reading of queues and workers: absent, which is not 0."""
        self._queue_length.forget()
        self._active_workers.forget()

    def broker_unreachable(self, error: BaseException) -> None:
        """Queues and workers could not be read from the broker."""
        self.forget_readings()
        self._errors.occurred(error, component="celery")
