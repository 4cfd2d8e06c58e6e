"""Keeps our own bugs away from the host: logs them, counts them, raises them only in our tests.

An exception that the host raises into our code is not ours: a signal handler does so (Celery's soft time limit, RQ's
death penalty, an application's own alarm), or one thread does so to another. It goes on to the host.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, MethodType, TracebackType

_logger = logging.getLogger("telemetry")
_LOGGED_AT_MOST = 20

STRICT_VARIABLE = "TELEMETRY_STRICT"
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


def swallow(error: BaseException, doing: str) -> None:
    """Report an exception of our own code without letting it reach the host.

    Args:
        error: What was raised.
        doing: What telemetry was doing, for the log.

    Raises:
        BaseException: ``error`` itself, if it is the host's, or where ``TELEMETRY_STRICT`` is set (our tests).
    """
    if is_the_hosts(error) or os.environ.get(STRICT_VARIABLE):
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
    handlers = {getattr(_function_of(signal.getsignal(number)), "__code__", None) for number in signal.valid_signals()}
    while traceback is not None:
        if traceback.tb_frame.f_code in handlers:
            return True
        traceback = traceback.tb_next
    return False


def _function_of(handler: object) -> object:
    """The function of a handler that is a method, an object that is called, or a partial function."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if not isinstance(handler, FunctionType | MethodType):
        handler = vars(type(handler)).get("__call__")
    return getattr(handler, "__func__", handler)


def _report(error: BaseException, doing: str) -> None:
    _State.failures += 1
    if _State.failures <= _LOGGED_AT_MOST:
        with _ignored():  # what a log handler of the host's raises
            _logger.warning("telemetry failed while %s; the application goes on", doing, exc_info=error)
    if _State.listener is not None:
        with _ignored():
            _State.listener(error)


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
