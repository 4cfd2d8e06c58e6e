"""A decorator for functions that call an LLM vendor; ``domains/llm.py`` counts the calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from typing import Any, TypeVar, cast

from telemetry.instrumentation.llm.answer import watched
from telemetry.instrumentation.llm.call import LlmCall
from telemetry.instrumentation.llm.covering import covering
from telemetry.process import get

F = TypeVar("F", bound=Callable[..., Any])
Begin = Callable[[dict[str, Any]], LlmCall]

_UNKNOWN = "unknown"


def llm_call(*, provider: str, model: str | None = None, service_tier: str = "") -> Callable[[F], F]:
    """Measure a function that makes one call to a vendor and returns, or yields, what the vendor answers.

    The function may be sync or async, a generator of either kind, or return the vendor's stream, something to await
    (``AsyncOpenAI().chat.completions.create``) or a context manager (``Anthropic().messages.stream``). A stream is over
    when it was read to its end or closed; what is never awaited, entered or iterated is no call.

    Args:
        provider: ``openai``, ``anthropic``, ``google``, …
        model: As sent to the vendor; without it the function's ``model`` argument, if it is called with one by name.
        service_tier: ``flex``, ``priority``, ``batch``, …, as in ``request()``; without it the function's
            ``service_tier`` argument, if it is called with one by name.
    """

    def begin(named: dict[str, Any]) -> LlmCall:
        return get().llm.request(
            provider=provider,
            model=str(model or named.get("model") or _UNKNOWN),
            messages=prompt_of(named),
            service_tier=service_tier or named.get("service_tier"),
        )

    def decorate(function: F) -> F:
        return cast("F", functools.wraps(function)(_measured(function, begin)))

    return decorate


def prompt_of(named: Mapping[str, Any]) -> object:
    """What a call sends to the vendor, by its named arguments; arrays among these have no truth."""
    messages = named.get("messages")
    return named.get("input") if messages is None else messages


def _measured(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):
        return _yielding_async(function, begin)
    if inspect.isgeneratorfunction(function):
        return _yielding(function, begin)
    if inspect.iscoroutinefunction(function):
        return awaiting(function, begin)
    return calling(function, begin)


def _yielding_async(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def measured(*args: Any, **named: Any) -> AsyncIterator[Any]:
        with begin(named) as call:
            async for chunk in call.stream(_covered_async(call, function(*args, **named))):
                yield chunk

    return measured


def _yielding(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def measured(*args: Any, **named: Any) -> Iterator[Any]:
        with begin(named) as call:
            yield from call.stream(_covered(call, function(*args, **named)))

    return measured


def awaiting(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """A function that is awaited, and measured by the call that ``begin`` makes of its named arguments."""

    async def measured(*args: Any, **named: Any) -> Any:
        call = begin(named)
        try:
            with covering(call):
                answer = await function(*args, **named)
            return watched(call, answer)
        except BaseException as error:
            call.end(error)
            raise

    return measured


def calling(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """A function that is called, likewise; what it returns may have to be awaited, entered or iterated."""

    def measured(*args: Any, **named: Any) -> Any:
        call = begin(named)
        try:
            with covering(call):
                answer = function(*args, **named)
            return watched(call, answer)
        except BaseException as error:
            call.end(error)
            raise

    return measured


def _covered(call: LlmCall, chunks: Generator[Any, Any, Any]) -> Iterator[Any]:
    """A generator in whose code calls are part of the one it makes; its consumer's, between two pieces, are not."""
    try:
        while True:
            with covering(call):
                try:
                    chunk = next(chunks)
                except StopIteration:
                    return
            yield chunk
    finally:
        chunks.close()


async def _covered_async(call: LlmCall, chunks: AsyncGenerator[Any, Any]) -> AsyncIterator[Any]:
    try:
        while True:
            with covering(call):
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    return
            yield chunk
    finally:
        await chunks.aclose()
