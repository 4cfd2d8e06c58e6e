"""Watches the scheduler of beat: when each task was due and when it was published."""

from __future__ import annotations

import functools
import time
from typing import Any

from telemetry import guard
from telemetry.process import get


def measure_beat(scheduler: Any) -> None:
    """Time what ``scheduler`` publishes, and let each collection see what it should have published."""
    if not hasattr(scheduler, "telemetry_apply_async"):
        scheduler.telemetry_apply_async = scheduler.apply_async
        scheduler.apply_async = functools.partial(_apply_async, scheduler)
        get().celery.beat.read_overdue_from(lambda: _overdue(scheduler))


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
