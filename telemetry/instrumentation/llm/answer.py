"""Stands for what a measured function returns, where the call to the vendor is not over when it returns."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator, Coroutine, Generator
from contextlib import suppress
from typing import Any

from telemetry.instrumentation.llm import covering
from telemetry.instrumentation.llm.call import LlmCall
from telemetry.instrumentation.llm.raw import is_raw, watched_raw
from telemetry.instrumentation.llm.stream import is_stream


def watched(call: LlmCall, answer: Any) -> Any:
    """The answer of a function, or what stands for it until the call is over.

    Args:
        call: Is over when the answer is, if it is not yet.
        answer: Of the vendor: whole, a stream, something to await, or a context manager that makes the call.
    """
    if _is_at_work(answer):
        from telemetry.instrumentation.llm.future import WatchedFuture

        return WatchedFuture(call, answer)
    if hasattr(type(answer), "__await__"):
        return _class_for(_protocol_of(answer))(call, answer)
    if is_raw(answer):
        return watched_raw(call, answer, watched)
    if is_stream(answer):
        return call.stream(answer, on_end=call.end)
    if _calls_on_entry(answer):
        return _class_for(_protocol_of(answer))(call, answer)
    call.response(answer)
    call.end()
    return answer


def _calls_on_entry(answer: object) -> bool:
    """Whether it opens something when it is entered; what is open already, as an HTTP response, can be closed."""
    kind = type(answer)
    return (hasattr(kind, "__enter__") or hasattr(kind, "__aenter__")) and not hasattr(answer, "close")


def _is_at_work(answer: Any) -> bool:
    """Whether it is a future of the running loop: this one is a call, whoever awaits it."""
    asyncio = sys.modules.get("asyncio")  # where nobody has imported it, there is no future
    if asyncio is None:
        return False
    with suppress(RuntimeError):  # no loop is running
        return bool(asyncio.isfuture(answer)) and answer.get_loop() is asyncio.get_running_loop()
    return False


class Watched:
    """Stands for an answer that is still to be awaited or entered; without that it is no call.

    Everything else is the answer's own. What it can do by Python's protocols it gets by ``_class_for``.

    Args:
        call: The call.
        answer: What the function returned.
    """

    def __init__(self, call: LlmCall, answer: Any) -> None:
        self._call = call
        self._answer = answer
        self._steps: Generator[Any, Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "_answer":  # a copy that is not made yet
            raise AttributeError(name)
        return getattr(self._answer, name)

    def _failed(self, cover: covering.Cover, error: BaseException) -> None:
        try:
            covering.end(cover)
        finally:
            self._call.end(error)

    def _opened(self, answer: Any) -> Any:
        if is_raw(answer):
            return watched_raw(self._call, answer, watched)
        if is_stream(answer):
            return self._call.stream(answer, on_end=self._call.end)
        self._call.response(answer)
        return answer


class _Protocols(Watched):
    """Every way to use an answer."""

    def __await__(self) -> Generator[Any, Any, Any]:
        self._call.start()
        try:
            with covering.covering(self._call):
                answer = yield from self._answer.__await__()
            return watched(self._call, answer)
        except BaseException as error:
            self._call.end(error)
            raise

    def __aiter__(self) -> AsyncIterator[Any]:
        self._call.start()
        return aiter(self._call.stream(self._answer, on_end=self._call.end))

    def __enter__(self) -> Any:
        self._call.start()
        cover = covering.begin(self._call, self._call.is_open)
        try:
            opened = self._answer.__enter__()
        except BaseException as error:
            self._failed(cover, error)
            raise
        try:
            covering.end(cover)
            return self._opened(opened)
        except BaseException as error:  # Python leaves only what could be entered
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> Any:
        try:
            return self._answer.__exit__(kind, error, traceback)
        finally:
            self._call.end(error)

    async def __aenter__(self) -> Any:
        self._call.start()
        cover = covering.begin(self._call, self._call.is_open)
        try:
            opened = await self._answer.__aenter__()
        except BaseException as error:
            self._failed(cover, error)
            raise
        try:
            covering.end(cover)
            return self._opened(opened)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> Any:
        try:
            return await self._answer.__aexit__(kind, error, traceback)
        finally:
            self._call.end(error)

    def send(self, value: Any) -> Any:
        """Begin a coroutine, or go on with it, as tasks do."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception in it; before its beginning no call was made."""
        return (self._steps or self._answer).throw(*error)

    def close(self) -> None:
        """End it where it is."""
        try:
            if self._steps is not None:
                self._steps.close()
        finally:
            self._answer.close()


_OF_TYPES = ("__await__", "__aiter__", "__enter__", "__exit__", "__aenter__", "__aexit__")
_OF_COROUTINES = ("send", "throw", "close")


def _protocol_of(answer: object) -> frozenset[str]:
    """What an answer can do: callers tell answers apart by that."""
    names = {name for name in _OF_TYPES if hasattr(type(answer), name)}
    return frozenset(names.union(_OF_COROUTINES if isinstance(answer, Coroutine) else ()))


@functools.cache
def _class_for(names: frozenset[str]) -> type[Watched]:
    return type("Watched", (Watched,), {name: getattr(_Protocols, name) for name in names})
