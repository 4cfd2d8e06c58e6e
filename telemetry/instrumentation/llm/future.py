"""Stands for a future of the running loop that a measured function returns: a call that is at work already."""

from __future__ import annotations

import asyncio
from typing import Any

from telemetry.instrumentation.llm.answer import watched
from telemetry.instrumentation.llm.call import LlmCall


def _error_of(future: asyncio.Future[Any]) -> BaseException | None:
    try:
        return future.exception()
    except asyncio.CancelledError as error:
        return error


class WatchedFuture(asyncio.Future[Any]):
    """Stands for a future or task of the running loop: is done when that is, with what is made of its result.

    Everything else is the future's own; to cancel this is to cancel that one, which may take its time or refuse.

    Args:
        call: Began with the future.
        future: What the function returned.
    """

    def __init__(self, call: LlmCall, future: asyncio.Future[Any]) -> None:
        self._call = call
        self._future = future
        super().__init__(loop=future.get_loop())
        if future.done():
            self._settle(future)
            return
        future.add_done_callback(self._settle)
        future.add_done_callback(self._settle)  # does nothing, unless a signal handler raised where the first began

    def __getattr__(self, name: str) -> Any:
        if name == "_future":  # a copy that is not made yet
            raise AttributeError(name)
        return getattr(self._future, name)

    def cancel(self, *args: Any, **named: Any) -> bool:
        """Cancel the vendor's."""
        return self._future.cancel(*args, **named)

    def set_result(self, result: Any) -> None:
        """Give the vendor's a result."""
        self._future.set_result(result)

    def set_exception(self, exception: type[BaseException] | BaseException) -> None:
        """Give the vendor's an exception."""
        self._future.set_exception(exception)

    def _settle(self, future: asyncio.Future[Any]) -> None:
        if self.done():
            return
        error = _error_of(future)
        if error is None:
            self._give(future.result())
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        try:
            self._call.end(error)
        finally:
            if self._future.cancelled():
                super().cancel(*error.args)
            else:
                super().set_exception(error)

    def _give(self, answer: Any) -> None:
        given = answer
        try:
            given = watched(self._call, answer)
        finally:
            super().set_result(given)
