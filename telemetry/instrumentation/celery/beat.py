"""Watches the scheduler of beat: when each task was due and when it was published."""

from __future__ import annotations

import functools
import time
import weakref
from typing import TYPE_CHECKING, Any

from telemetry import guard, process
from telemetry.lifetime import when_gone
from telemetry.metrics.bound import Reading
from telemetry.process import get

if TYPE_CHECKING:
    from telemetry.setup import Telemetry


def measure_beat(scheduler: Any) -> None:
    """Time what ``scheduler`` publishes, and let each collection see what it should have published."""
    if not hasattr(scheduler, "telemetry_apply_async"):
        scheduler.telemetry_apply_async = scheduler.apply_async
        scheduler.apply_async = functools.partial(_apply_async, scheduler)
        _Schedule(scheduler)


class _Schedule:
    """What is overdue in this process, as long as its scheduler lives; not in its children."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = weakref.ref(scheduler)
        self._readings: list[Reading[Any]] = []
        when_gone(scheduler, self.close)
        process.lifetime.forked.subscribe(self.close)
        self._subscription = process.when_configured(self._introduce)

    def close(self) -> None:
        """Another process reads it."""
        self._subscription.close()
        for reading in self._readings:
            reading.close()

    def _introduce(self, telemetry: Telemetry) -> None:
        self._readings.append(telemetry.celery.beat.read_overdue_from(lambda: _overdue(self._scheduler())))


def _apply_async(scheduler: Any, entry: Any, *args: Any, **kwargs: Any) -> Any:
    lag = None
    with guard.guarded("timing a task of the schedule"):
        lag = _lag(entry)
    result = scheduler.telemetry_apply_async(entry, *args, **kwargs)
    if lag is not None:
        with guard.guarded("timing a task of the schedule"):
            get().celery.beat.published(str(entry.task), lag)
    return result


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
