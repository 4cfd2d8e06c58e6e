"""Reads from a worker node itself what it holds, how large its pool is and which pool processes it loses."""

from __future__ import annotations

import functools
import signal
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from billiard.pool import EX_OK, EX_RECYCLE, RUN
from celery.bootsteps import TERMINATE
from celery.concurrency import get_implementation
from celery.concurrency.solo import TaskPool as SoloPool
from celery.worker import state

from telemetry import guard
from telemetry.instrumentation.celery.assumptions import POOL, holds
from telemetry.instrumentation.celery.broker import MAX_QUEUES
from telemetry.instrumentation.celery.levels import Levels
from telemetry.instrumentation.celery.request import MeteredRequest
from telemetry.instrumentation.handle import Instrumentation
from telemetry.metrics.bound import Reading
from telemetry.process import get

if TYPE_CHECKING:
    from telemetry.setup import Telemetry

_WATCHED = "telemetry_watches"


class MeasuredWorker(Levels):
    """The worker node of this process, which each collection reads until it ends; not its children.

    Args:
        worker: The node.
        tasks: The tasks of its application.
        queues: The queues of its application.
    """

    def __init__(self, worker: Any, tasks: Callable[[], list[str]], queues: Callable[[], list[str]]) -> None:
        self._worker = weakref.ref(worker)
        self._hostname = str(worker.hostname)
        self._tasks, self._queues = tasks, queues
        self._is_prefork = is_prefork(worker)
        self._consumed: dict[str, int] = {}
        super().__init__(worker)

    def has_ended(self) -> bool:
        """Whether the node was stopped or terminated, though the process may go on."""
        worker = self._worker()
        return worker is None or _is_terminated(worker)

    def read_from(self, telemetry: Telemetry) -> list[Reading[Any]]:
        """Let ``telemetry`` read it, and declare what it runs."""
        celery = telemetry.celery
        celery.declare(self._tasks(), self._queues())
        if self._is_prefork:
            celery.declare_processes(self._hostname)
        return celery.read_worker_from(
            self._hostname,
            held,
            lambda: pool_size(self._worker()),
            lambda: prefetch_limit(self._worker()),
            self._consumers,
        )

    def _consumers(self) -> dict[str, int]:
        """1 for each queue it takes tasks from, 0 for one it no longer does."""
        now = dict.fromkeys(consumed(self._worker())[:MAX_QUEUES], 1)
        gone = [queue for queue in self._consumed if queue not in now][: MAX_QUEUES - len(now)]
        self._consumed = dict.fromkeys(gone, 0) | now
        return self._consumed


def watch_pool(hostname: str, worker: Any, handle: Instrumentation) -> None:
    """Listen to the pool for processes that end, and for its own end; only a pool of processes has any."""
    holds(POOL, "pool processes that are lost may not be counted")
    processes = getattr(getattr(worker, "pool", None), "_pool", None)
    if processes is not None and hasattr(processes, "on_process_down") and not hasattr(processes, _WATCHED):
        setattr(processes, _WATCHED, True)
        processes.on_process_down = _counting(hostname, processes, processes.on_process_down, handle)
        worker.pool.terminate = functools.partial(_terminate, worker.pool.terminate)


def _terminate(terminate: Callable[[], Any]) -> Any:
    """Celery before 5.5 does not say of a task that it ends with the pool."""
    running = [request for request in list(state.active_requests) if isinstance(request, MeteredRequest)]
    try:
        return terminate()
    finally:
        with guard.guarded("counting the tasks that a cold shutdown ended"):
            for request in running:
                request.count_lost_with_pool()


def held() -> dict[str, int]:
    """The tasks of the worker node by what they wait for."""
    active = len(state.active_requests)
    return {
        "active": active,
        "reserved": max(0, len(state.reserved_requests) - active),
        "scheduled": len(state.scheduled_requests) if hasattr(state, "scheduled_requests") else 0,
    }


def pool_size(worker: Any) -> int:
    """How many tasks run at a time; 0 before the pool is there and after it is gone: Celery's property raises then."""
    pool = getattr(worker, "pool", None)
    if pool is None or _is_terminated(worker):
        return 0
    if isinstance(pool, SoloPool):  # its limit is what was configured for other pools
        return 1
    return int(getattr(pool, "num_processes", 0))


def _is_terminated(worker: Any) -> bool:
    return bool(getattr(getattr(worker, "blueprint", None), "state", None) == TERMINATE)


def prefetch_limit(worker: Any) -> int | None:
    """``None`` while the worker has no connection to the broker."""
    qos = getattr(getattr(worker, "consumer", None), "qos", None)
    return None if qos is None else int(qos.value)


def consumed(worker: Any) -> list[str]:
    """The queues it takes tasks from at this moment, without those a broadcast makes for each worker."""
    consumer = getattr(getattr(worker, "consumer", None), "task_consumer", None)
    if consumer is None or _is_terminated(worker):
        return []
    return [queue.name for queue in list(consumer.queues) if not getattr(queue, "alias", None)]


def is_prefork(worker: Any) -> bool:
    """Whether its pool has processes."""
    return "prefork" in str(get_implementation(worker.pool_cls))


def _counting(
    hostname: str, pool: Any, on_process_down: Callable[[Any], Any] | None, handle: Instrumentation
) -> Callable[[Any], None]:
    def process_down(process: Any) -> None:
        try:
            if on_process_down is not None:
                on_process_down(process)
        finally:
            with guard.guarded("counting a lost pool process"):
                # While a pool stops, its processes are told to.
                if pool._state == RUN and _is_lost(process) and not handle.is_closed:  # noqa: SLF001
                    get().celery.process_lost(hostname, _end_of(process.exitcode))

    return process_down


def _is_lost(process: Any) -> bool:
    return process.exitcode not in {EX_OK, EX_RECYCLE} and not getattr(process, "_controlled_termination", False)


def _end_of(exit_code: int) -> str:
    if exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit {exit_code}"
