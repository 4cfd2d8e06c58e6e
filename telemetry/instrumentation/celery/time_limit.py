"""Lets a soft time limit of Celery wait the microseconds until an event is recorded whole.

The limit is an exception that a signal handler raises wherever the task is: perhaps between two metrics of an event.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FrameType

from billiard import pool

from telemetry import guard
from telemetry.instrumentation.celery.assumptions import SOFT_LIMIT, holds

Handler = Callable[[int, FrameType | None], object]


def let_soft_limits_wait() -> None:
    """Prepare the signal handler that pool processes install; a second call does nothing."""
    if holds(SOFT_LIMIT, "an LLM call that a soft time limit interrupts may be counted in part"):
        handler = pool.soft_timeout_sighandler
        if not hasattr(handler, "__wrapped__"):
            pool.soft_timeout_sighandler = waiting(handler)


def waiting(handler: Handler) -> Handler:
    """``handler``, which waits while the main thread, where it runs, records an event."""

    @functools.wraps(handler)
    def handle(signum: int, frame: FrameType | None) -> object:
        return guard.whole.then(functools.partial(handler, signum, frame))

    return handle
