"""Keeps our own bugs away from the host: logs them, counts them, raises them only in our tests."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_logger = logging.getLogger("telemetry")
_LOGGED_AT_MOST = 20

STRICT_VARIABLE = "TELEMETRY_STRICT"


class _State:
    """How often something failed in this process, and who wants to know."""

    failures = 0
    listener: Callable[[BaseException], None] | None = None


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
    _State.failures += 1
    if _State.failures <= _LOGGED_AT_MOST:
        _logger.warning("telemetry failed while %s; the application goes on", doing, exc_info=error)
    if _State.listener is not None:
        try:
            _State.listener(error)
        except Exception:
            _logger.debug("counting a telemetry failure failed", exc_info=True)


@contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Run a block of instrumentation whose exceptions must not reach the host."""
    try:
        yield
    except Exception as error:
        swallow(error, doing)
