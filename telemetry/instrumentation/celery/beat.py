"""Watches the scheduler of beat: when each task was due and when it was published."""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from billiard.process import BaseProcess

from telemetry import guard
from telemetry.instrumentation.celery.levels import Levels
from telemetry.metrics.bound import Reading
from telemetry.process import get

if TYPE_CHECKING:
    from telemetry.setup import Telemetry

LONGEST_END = 1.0
"""Seconds that beat inside a worker has to end; it is told by SIGTERM, which ends it wherever it is."""


class MeasuredSchedule(Levels):
    """Times what a scheduler publishes, and lets each collection see what it should have published.

    As long as the scheduler lives, in this process and not in its children.

    Args:
        scheduler: Beat's.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = weakref.ref(scheduler)
        self._is_closed = False
        scheduler.apply_async = self._timed(scheduler.apply_async)
        super().__init__(scheduler)

    def close(self) -> None:
        """It is measured no more, or by another process."""
        self._is_closed = True
        super().close()

    def read_from(self, telemetry: Telemetry) -> list[Reading[Any]]:
        """Let ``telemetry`` read how long its next task is overdue."""
        return [telemetry.celery.beat.read_overdue_from(lambda: _overdue(self._scheduler()))]

    def _timed(self, apply_async: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(apply_async)
        def timed(entry: Any, *args: Any, **kwargs: Any) -> Any:
            lag = None
            with guard.guarded("timing a task of the schedule"):
                lag = _lag(entry)
            result = apply_async(entry, *args, **kwargs)
            if lag is not None and not self._is_closed:
                with guard.guarded("timing a task of the schedule"):
                    get().celery.beat.published(str(entry.task), lag)
            return result

        return timed


def _lag(entry: Any) -> float | None:
    """``None`` for an entry that has no date of its last run (it is due since ever)."""
    if entry.last_run_at is None:
        return None
    last_run_at = entry.schedule.maybe_make_aware(entry.last_run_at)
    return -float(entry.schedule.remaining_estimate(last_run_at).total_seconds())


def _overdue(scheduler: Any) -> float:
    """From the queue of what comes next, which is in memory: a schedule may live in a database."""
    upcoming = getattr(scheduler, "_heap", None)
    return time.time() - upcoming[0].time if upcoming else 0.0


def watch_embedded(worker: Any) -> None:
    """Let a worker wait for the end of the beat inside it (``-B``), which Celery tells to end and leaves alone.

    What beat counted last is then delivered with what the worker counted last, and not by the next process of the host.
    """
    beat = getattr(worker, "beat", None)
    if isinstance(beat, BaseProcess) and "terminate" not in vars(beat):
        beat.terminate = functools.partial(_terminate, beat, beat.terminate)


def _terminate(beat: BaseProcess, terminate: Callable[[], Any]) -> Any:
    result = terminate()
    with guard.guarded("waiting for the end of beat"):
        beat.join(LONGEST_END)
    return result
