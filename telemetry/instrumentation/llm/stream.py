"""A vendor's stream, passed through unchanged, that tells the call it answers what came and what ended it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Protocol, Self

from telemetry import guard
from telemetry.instrumentation.llm.assumptions import CHUNKS_OF_HELPER, is_helper

OnEnd = Callable[[BaseException | None], None]


class StreamListener(Protocol):
    """Whom a stream tells."""

    def saw(self, chunk: object) -> None:
        """A chunk of the stream arrived; raises nothing of its own."""

    def finished(self) -> None:
        """The stream was read to its end."""


class _Nobody:
    """Whom a stream tells whose chunks are seen elsewhere."""

    def saw(self, chunk: object) -> None:
        """A chunk arrived."""

    def finished(self) -> None:
        """The stream was read to its end."""


def _nobody_waits(error: BaseException | None) -> None:
    """Whoever made the call ends it."""


def is_stream(answer: object) -> bool:
    """Whether an answer comes piece by piece."""
    return any(hasattr(type(answer), name) for name in ("__next__", "__anext__", "__aiter__"))


def watched_stream(chunks: Any, call: StreamListener, on_end: OnEnd | None = None) -> WatchedStream:
    """A vendor's stream, or what gives it when it is awaited or entered, watched for a call."""
    kind = AwaitedStream if hasattr(type(chunks), "__await__") else WatchedStream
    return kind(chunks, call, on_end)


class WatchedStream:
    """A vendor's stream, unchanged, whose usage is noted on the way; everything else is the vendor's own.

    Args:
        chunks: The vendor's stream, or what gives it when it is awaited or entered.
        call: The call it answers.
        on_end: Called with what ended the stream: its end (``None``), an error, or its being closed.
    """

    def __init__(self, chunks: Any, call: StreamListener, on_end: OnEnd | None = None) -> None:
        self._call = call
        self._on_end: OnEnd = on_end or _nobody_waits
        self._iterator: Iterator[Any] | None = None
        self._async_iterator: AsyncIterator[Any] | None = None
        self._manager = chunks
        self._watch(chunks)

    def _watch(self, chunks: Any) -> None:
        self._chunks = chunks
        with guard.guarded("watching a vendor's stream"):
            if is_helper(chunks):
                self._watch_inside(chunks)

    def _watch_inside(self, helper: Any) -> None:
        """Watch what all ways read that a vendor's helper has (``text_stream``, ``get_final_message()``, …)."""
        inner = getattr(helper, CHUNKS_OF_HELPER)
        setattr(helper, CHUNKS_OF_HELPER, WatchedStream(inner, self._call, self._on_end))
        self._call = _Nobody()

    def __getattr__(self, name: str) -> Any:
        if name == "_chunks":  # a copy that is not made yet
            raise AttributeError(name)
        attribute = getattr(self._chunks, name)
        if name == "aclose":  # as asynchronous generators have it, and no other stream
            return lambda: self._closed(attribute())
        return attribute

    def __iter__(self) -> Iterator[Any]:
        if self._iterator is None:
            self._iterator = self._watched()
        return self._iterator

    def __next__(self) -> Any:
        return next(iter(self))

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._async_iterator is None:
            self._async_iterator = self._watched_async()
        return self._async_iterator

    async def __anext__(self) -> Any:
        return await anext(aiter(self))

    def __enter__(self) -> Self:
        opened = self._manager.__enter__()
        try:
            self._opened(opened)
        except BaseException as error:  # Python leaves only what could be entered
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> Any:
        try:
            return self._manager.__exit__(kind, error, traceback)
        finally:
            self._on_end(error)

    async def __aenter__(self) -> Self:
        opened = await self._manager.__aenter__()
        try:
            self._opened(opened)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> Any:
        try:
            return await self._manager.__aexit__(kind, error, traceback)
        finally:
            self._on_end(error)

    def _opened(self, chunks: Any) -> None:
        if chunks is not self._chunks:
            self._watch(chunks)

    def close(self) -> Any:
        """Close the vendor's stream, however what we count then is interrupted; an asynchronous one is awaited."""
        try:
            closing = self._chunks.close()
        except BaseException:
            self._on_end(None)
            raise
        match closing:
            case object(__await__=_):  # asked without a call, after which a signal handler may run
                return self._closed(closing)
        self._on_end(None)
        return closing

    async def _closed(self, closing: Awaitable[Any]) -> Any:
        try:
            return await closing
        finally:
            self._on_end(None)

    def _watched(self) -> Iterator[Any]:
        ended_by: BaseException | None = None
        try:
            for chunk in self._chunks:
                self._call.saw(chunk)
                yield chunk
            self._call.finished()
        except BaseException as error:
            ended_by = error
            raise
        finally:
            self._on_end(ended_by)

    async def _watched_async(self) -> AsyncIterator[Any]:
        ended_by: BaseException | None = None
        try:
            async for chunk in self._chunks:
                self._call.saw(chunk)
                yield chunk
            self._call.finished()
        except BaseException as error:
            ended_by = error
            raise
        finally:
            self._on_end(ended_by)


class AwaitedStream(WatchedStream):
    """A stream that is still to be awaited."""

    def __await__(self) -> Generator[Any, Any, WatchedStream]:
        return WatchedStream((yield from self._manager.__await__()), self._call, self._on_end)
