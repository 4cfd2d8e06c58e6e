"""Keeps our own bugs away from the host: logs them, counts them, raises them only in our tests.

An exception that the host raises into our code is not ours: a signal handler does so (Celery's soft time limit, RQ's
death penalty, an application's own alarm), or one thread does so to another. It goes on to the host.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from telemetry.extras import MissingExtraError
from telemetry.unquoted import told

_logger = logging.getLogger("telemetry")
_LOGGED_AT_MOST = 20

RAISE_VARIABLE = "TELEMETRY_RAISE_ERRORS"  # of this project's tests; a host sets it never
# They may be raised without a signal handler, by one thread into another.
_TIME_OUTS = frozenset(
    {
        "billiard.exceptions.SoftTimeLimitExceeded",
        "rq.timeouts.BaseTimeoutException",
        "dramatiq.middleware.threading.Interrupt",
    }
)


class _State:
    """How often something failed in this process, and the callback that counts it."""

    failures = 0
    listener: Callable[[BaseException], None] | None = None
    reporting = threading.local()


def on_failure(listener: Callable[[BaseException], None] | None) -> None:
    """Let ``listener`` count what is swallowed; a listener that fails is ignored."""
    _State.listener = listener


def _raises() -> bool:
    return bool(os.environ.get(RAISE_VARIABLE))


def swallow(error: BaseException, doing: str) -> None:
    """Report an exception of our own code without letting it reach the host.

    Args:
        error: What was raised.
        doing: What telemetry was doing, for the log.

    Raises:
        BaseException: ``error`` itself, if it is the host's, or where ``TELEMETRY_RAISE_ERRORS`` is set (our tests).
    """
    if is_the_hosts(error) or _raises():
        raise error
    if getattr(_State.reporting, "now", False):
        return  # reporting a failure failed: once is enough
    _State.reporting.now = True
    try:
        _report(error, doing)
    finally:
        _State.reporting.now = False


def is_the_hosts(error: BaseException) -> bool:
    """Whether the host raised it into our code: in a signal handler, or from another thread."""
    return (
        not isinstance(error, Exception)
        or not _TIME_OUTS.isdisjoint(f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
        or _comes_from_a_handler(error.__traceback__)
    )


def _comes_from_a_handler(traceback: TracebackType | None) -> bool:
    """Python gives a signal handler the frame that it interrupts, which is the one before it in the traceback."""
    interrupted: FrameType | None = None
    while traceback is not None:
        if interrupted is not None and _has(traceback.tb_frame, interrupted):
            return True
        interrupted, traceback = traceback.tb_frame, traceback.tb_next
    return False


def _has(frame: FrameType, wanted: FrameType) -> bool:
    values = list(frame.f_locals.values())
    given = [item for value in values if isinstance(value, tuple) for item in value]  # ``def handler(*_)``
    return any(value is wanted for value in (*values, *given))


def _report(error: BaseException, doing: str) -> None:
    _State.failures += 1
    if _State.failures <= _LOGGED_AT_MOST:
        with _ignored():  # what a log handler of the host's raises
            _log(error, doing)
    if _State.listener is not None:
        with _ignored():
            _State.listener(error)


def _log(error: BaseException, doing: str) -> None:
    if isinstance(error, MissingExtraError):  # it says all there is to know
        _logger.error("telemetry: %s", error)
    else:
        # An exception of ours may quote a value that somebody sent.
        _logger.warning("telemetry failed while %s; the application goes on\n%s", doing, told(error))


@contextmanager
def _ignored() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_the_hosts(error):
            raise


@contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Run a block of instrumentation whose exceptions must not reach the host."""
    try:
        yield
    except Exception as error:
        swallow(error, doing)
