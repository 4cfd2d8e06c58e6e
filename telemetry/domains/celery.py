"""Records tasks, queues and workers; declared in ``catalogue/celery.py``, hooked in ``instrumentation/celery/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import product
from typing import Any, cast

from telemetry.catalogue import celery as catalogue
from telemetry.catalogue.celery import HeldLabels, QueueLabels, TaskLabels, WorkerLabels
from telemetry.domains.celery_beat import BeatRecorder
from telemetry.domains.celery_broker import BrokerRecorder
from telemetry.domains.celery_task import TaskInstruments, TaskSeries
from telemetry.domains.errors import ErrorsRecorder
from telemetry.metrics.bound import BoundCounter, Reading
from telemetry.metrics.catalogue_instruments import Instruments
from telemetry.metrics.stream import MOST_SERIES

UNREGISTERED = "other"
"""The task's name where a worker does not know the one that a message has."""


class CeleryRecorder:
    """Submissions where they are published, outcomes where the pool is owned, queues and workers as read."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder) -> None:
        self.beat = BeatRecorder(instruments)
        self.broker = BrokerRecorder(instruments)
        self._tasks = TaskInstruments(instruments)
        self._series: dict[tuple[str, str], TaskSeries] = {}
        self._priorities = instruments.counter(catalogue.PRIORITIES)
        self._held = instruments.observed_level(catalogue.HELD)
        self._pool_size = instruments.observed_level(catalogue.POOL_SIZE)
        self._prefetch = instruments.observed_level(catalogue.PREFETCH)
        self._consumers = instruments.observed_level(catalogue.CONSUMERS)
        self._lost = instruments.counter(catalogue.LOST)
        self._errors = errors

    def task(self, task_name: str, queue: str) -> TaskSeries:
        """The series of a task and the queue it came through, looked up once; hold on to them for one task only."""
        series = self._series.get((task_name, queue))
        if series is None:
            series = TaskSeries(self._tasks, task_name, queue)
            if len(self._series) < MOST_SERIES:
                self._series[task_name, queue] = series
        return series

    def unknown(self, queue: str) -> None:
        """A worker got a task that it does not know: anybody who reaches the broker can name one, so it is no label."""
        TaskSeries(self._tasks, UNREGISTERED, queue).failed(None, "NotRegistered")

    def refused(self, task_name: str | None, queue: str) -> None:
        """A worker got a message that it cannot understand; ``None`` where it knows no task of that name."""
        TaskSeries(self._tasks, task_name or UNREGISTERED, queue).dropped(None, "rejected")

    def declare_submissions(self, task_names: Iterable[str], queues: Iterable[str]) -> None:
        """Let the series of tasks a publisher knows exist; unknown names cannot take their place in the budget."""
        self._declare([self._tasks.submitted], task_names, queues)

    def declare(self, task_names: Iterable[str], queues: Iterable[str]) -> None:
        """Let the series of known tasks and queues exist before their first event."""
        tasks = self._tasks
        self._declare([tasks.submitted, tasks.completed, tasks.failed, tasks.retried], task_names, queues)

    @staticmethod
    def _declare(
        counters: Iterable[BoundCounter[TaskLabels]], task_names: Iterable[str], queues: Iterable[str]
    ) -> None:
        for task_name, queue, counter in product(task_names, queues, counters):
            counter.declare({"task_name": task_name, "queue": queue})

    def submitted(self, task_name: str, queue: str, priority: str = "none") -> None:
        """A task was published; not called for a retry."""
        self._tasks.submitted.add(1, {"task_name": task_name, "queue": queue})
        self._priorities.add(1, {"queue": queue, "priority": priority})

    def process_lost(self, hostname: str, ended_by: str) -> None:
        """A pool process of a worker node was killed or crashed; ``ended_by`` is a signal or an exit code."""
        self._lost.add(1, {"hostname": hostname, "ended_by": ended_by})

    def declare_processes(self, hostname: str) -> None:
        """Let the series of the usual losses (no memory, a crash in an extension) exist before the first one."""
        for ended_by in ("SIGKILL", "SIGSEGV"):
            self._lost.declare({"hostname": hostname, "ended_by": ended_by})

    def read_worker_from(
        self,
        hostname: str,
        held: Callable[[], Mapping[str, int]],
        size: Callable[[], int],
        prefetch: Callable[[], int | None],
        consumed: Callable[[], Mapping[str, int]],
    ) -> list[Reading[Any]]:
        """Take what the worker node of this process holds from the worker itself, at each collection until closed."""

        def read_held() -> list[tuple[HeldLabels, float]]:
            return [(cast("HeldLabels", {"hostname": hostname, "state": state}), n) for state, n in held().items()]

        def read_number(number: Callable[[], int | None]) -> list[tuple[WorkerLabels, float]]:
            found = number()
            return [] if found is None else [({"hostname": hostname}, found)]

        def read_consumed() -> list[tuple[QueueLabels, float]]:
            return [({"queue": queue}, consumers) for queue, consumers in consumed().items()]

        return [
            self._held.read_from(read_held),
            self._pool_size.read_from(partial(read_number, size)),
            self._prefetch.read_from(partial(read_number, prefetch)),
            self._consumers.read_from(read_consumed),
        ]

    def broker_unreachable(self, reader: object, error: BaseException) -> None:
        """A reader could not read queues and workers from its broker."""
        self.broker.forget(reader)
        self._errors.occurred(error, component="celery")
