"""Reads from a worker node itself what it holds, how large its pool is and which pool processes it loses."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from billiard.pool import EX_OK, EX_RECYCLE, RUN
from celery.worker import state

from telemetry import guard
from telemetry.instrumentation.celery.request import MeteredRequest
from telemetry.process import get


def measure_worker(hostname: str, worker: Any) -> None:
    """Let each collection read the worker node that starts in this process."""
    get().celery.read_worker_from(hostname, held, lambda: pool_size(worker), lambda: prefetch_limit(worker))
    if is_prefork(worker):
        get().celery.declare_processes(hostname)


def watch_pool(hostname: str, worker: Any) -> None:
    """Listen to the pool for processes that end, and for its own end; only a pool of processes has any."""
    processes = getattr(getattr(worker, "pool", None), "_pool", None)
    if processes is not None and hasattr(processes, "on_process_down"):
        processes.on_process_down = _counting(hostname, processes, processes.on_process_down)
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
    """0 before the pool is there and after it is gone; Celery's property raises then."""
    return int(getattr(getattr(worker, "pool", None), "num_processes", 0))


def prefetch_limit(worker: Any) -> int | None:
    """``None`` while the worker has no connection to the broker."""
    qos = getattr(getattr(worker, "consumer", None), "qos", None)
    return None if qos is None else int(qos.value)


def is_prefork(worker: Any) -> bool:
    """Whether its pool has processes."""
    return "prefork" in str(worker.pool_cls)


def _counting(hostname: str, pool: Any, on_process_down: Callable[[Any], Any] | None) -> Callable[[Any], None]:
    def process_down(process: Any) -> None:
        try:
            if on_process_down is not None:
                on_process_down(process)
        finally:
            with guard.guarded("counting a lost pool process"):
                if pool._state == RUN and _is_lost(process):  # noqa: SLF001 - while it stops, processes are told to
                    get().celery.process_lost(hostname, _end_of(process.exitcode))

    return process_down


def _is_lost(process: Any) -> bool:
    return process.exitcode not in {EX_OK, EX_RECYCLE} and not getattr(process, "_controlled_termination", False)


def _end_of(exit_code: int) -> str:
    if exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit {exit_code}"
