"""Records tasks, queues and workers; declared in ``catalogue/celery.py``, hooked in ``instrumentation/celery.py``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from telemetry.catalogue import FactSpec
from telemetry.catalogue import celery as catalogue
from telemetry.catalogue.celery import DroppedLabels, HeldLabels, TaskLabels, WorkerLabels
from telemetry.domains.errors import ErrorsRecorder
from telemetry.instruments import Instruments

_OVERFLOW = "other"


class CeleryRecorder:
    """Submissions where they are published, outcomes where the pool is owned, queues and workers as read."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder) -> None:
        self._submitted = instruments.counter(catalogue.SUBMITTED)
        self._completed = instruments.counter(catalogue.COMPLETED)
        self._failed = instruments.counter(catalogue.FAILED)
        self._retried = instruments.counter(catalogue.RETRIED)
        self._dropped = instruments.counter(catalogue.DROPPED)
        self._duration = instruments.histogram(catalogue.DURATION)
        self._priorities = instruments.counter(catalogue.PRIORITIES)
        self._exceptions = instruments.counter(catalogue.EXCEPTIONS)
        self._wait = instruments.histogram(catalogue.WAIT)
        self._oldest = instruments.fact(catalogue.OLDEST)
        self._unacked = instruments.fact(catalogue.UNACKED)
        self._held = instruments.level(catalogue.HELD)
        self._pool_size = instruments.level(catalogue.POOL_SIZE)
        self._queue_length = instruments.fact(catalogue.QUEUE_LENGTH)
        self._active_workers = instruments.fact(catalogue.ACTIVE_WORKERS)
        self._errors = errors

    def declare_submissions(self, task_names: Iterable[str], queues: Iterable[str]) -> None:
        """Let the series of tasks a publisher knows exist; unknown names cannot take their place in the budget."""
        known_queues = list(queues)
        for task_name in task_names:
            for queue in known_queues:
                self._submitted.declare({"task_name": task_name, "queue": queue})

    def declare(self, task_names: Iterable[str], queues: Iterable[str]) -> None:
        """Let the series of known tasks and queues exist before their first event."""
        known_queues = list(queues)
        for task_name in task_names:
            for queue in known_queues:
                labels: TaskLabels = {"task_name": task_name, "queue": queue}
                for counter in (self._submitted, self._completed, self._failed, self._retried):
                    counter.declare(labels)

    def submitted(self, task_name: str, queue: str, priority: str = "none") -> None:
        """A task was published; not called for a retry."""
        self._submitted.add(1, {"task_name": task_name, "queue": queue})
        self._priorities.add(1, {"queue": queue, "priority": priority})

    def waited(self, task_name: str, queue: str, seconds: float) -> None:
        """A task was taken by a pool process ``seconds`` after it could have been."""
        self._wait.record(max(0.0, seconds), {"task_name": task_name, "queue": queue})

    def completed(self, task_name: str, queue: str, seconds: float | None) -> None:
        """A task ended successfully after ``seconds`` in the pool."""
        labels: TaskLabels = {"task_name": task_name, "queue": queue}
        self._completed.add(1, labels)
        if seconds is not None:
            self._duration.record(seconds, labels)

    def failed(self, task_name: str, queue: str, seconds: float | None, exception: str) -> None:
        """A task ended with an error, a hard time limit or a lost process after ``seconds`` in the pool."""
        labels: TaskLabels = {"task_name": task_name, "queue": queue}
        self._failed.add(1, labels)
        self._exceptions.add(1, {"task_name": task_name, "exception": exception})
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
        shown: dict[str, int] = {}
        for place, (queue, length) in enumerate(lengths.items()):
            name = queue if place < _budget(catalogue.QUEUE_LENGTH) else _OVERFLOW
            shown[name] = shown.get(name, 0) + length
        self._queue_length.set_all([({"queue": queue}, length) for queue, length in shown.items()])

    def observe_workers(self, alive: Mapping[str, bool]) -> None:
        """Which of the known worker nodes are alive; replaces the last reading."""
        living_first = sorted(alive.items(), key=lambda item: not item[1])
        living_first = living_first[: _budget(catalogue.ACTIVE_WORKERS)]
        self._active_workers.set_all([({"hostname": name}, float(up)) for name, up in living_first])

    def observe_backlog(self, unacked: int | None, oldest: Mapping[str, float]) -> None:
        """What workers hold unacknowledged and how old each queue's head is; replaces the last reading."""
        self._unacked.set_all([] if unacked is None else [({}, unacked)])
        shown = list(oldest.items())[: _budget(catalogue.OLDEST)]
        self._oldest.set_all([({"queue": queue}, max(0.0, age)) for queue, age in shown])

    def read_worker_from(self, hostname: str, held: Callable[[], Mapping[str, int]], size: Callable[[], int]) -> None:
        """Take what the worker node of this process holds from the worker itself, at each collection.

        A forked child inherits the readers; the worker is its parent's to report.
        """
        own = os.getpid()

        def read_held() -> list[tuple[HeldLabels, float]]:
            states = held() if os.getpid() == own else {}
            return [(cast("HeldLabels", {"hostname": hostname, "state": state}), n) for state, n in states.items()]

        def read_size() -> list[tuple[WorkerLabels, float]]:
            return [({"hostname": hostname}, size())] if os.getpid() == own else []

        self._held.read_from(read_held)
        self._pool_size.read_from(read_size)

    def forget_readings(self) -> None:
        """This process has no reading of queues and workers: absent, which is not 0."""
        for fact in (self._queue_length, self._active_workers, self._oldest, self._unacked):
            fact.forget()

    def broker_unreachable(self, error: BaseException) -> None:
        """Queues and workers could not be read from the broker."""
        self.forget_readings()
        self._errors.occurred(error, component="celery")


def _budget(spec: FactSpec[Any]) -> int:
    budget = spec.label_set()[0].budget
    return budget.limit if budget else 0
