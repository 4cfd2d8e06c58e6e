"""Keeps our own bugs away from the host: logs them, counts them, raises them only in our tests."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_logger = logging.getLogger("telemetry")
_LOGGED_AT_MOST = 20

STRICT_VARIABLE = "TELEMETRY_STRICT"


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
        BaseException: ``error`` itself, where ``TELEMETRY_STRICT`` is set (our tests).
    """
    if os.environ.get(STRICT_VARIABLE):
        raise error
    if getattr(_State.reporting, "now", False):
        return  # reporting a failure failed: once is enough
    _State.reporting.now = True
    try:
        _report(error, doing)
    finally:
        _State.reporting.now = False


def _report(error: BaseException, doing: str) -> None:
    _State.failures += 1
    if _State.failures <= _LOGGED_AT_MOST:
        with suppress(Exception):  # a handler of the host's that raises
            _logger.warning("telemetry failed while %s; the application goes on", doing, exc_info=error)
    if _State.listener is not None:
        with suppress(Exception):
            _State.listener(error)


@contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Run a block of instrumentation whose exceptions must not reach the host."""
    try:
        yield
    except Exception as error:
        swallow(error, doing)
