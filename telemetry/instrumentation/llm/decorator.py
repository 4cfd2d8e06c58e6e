"""A decorator for functions that call an LLM vendor; ``domains/llm.py`` counts the calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar, cast

from telemetry.instrumentation.llm.call import LlmCall
from telemetry.process import get

F = TypeVar("F", bound=Callable[..., Any])
Begin = Callable[[dict[str, Any]], LlmCall]

_UNKNOWN = "unknown"


def llm_call(*, provider: str, model: str | None = None) -> Callable[[F], F]:
    """Measure a function that makes one call to a vendor and returns, or yields, what the vendor answers.

    The function may be sync or async, a generator of either kind, or return the vendor's stream; a stream is over when
    it was read to its end or closed.

    Args:
        provider: ``openai``, ``anthropic``, ``google``, …
        model: As sent to the vendor; without it the function's ``model`` argument, if it is called with one by name.
    """

    def decorate(function: F) -> F:
        return cast("F", functools.wraps(function)(_measured(function, provider, model)))

    return decorate


def _measured(function: Callable[..., Any], provider: str, model: str | None) -> Callable[..., Any]:
    def begin(named: dict[str, Any]) -> LlmCall:
        chosen = named.get("model") if model is None else model
        messages = named.get("messages")
        return get().llm.request(provider=provider, model=str(chosen or _UNKNOWN), messages=messages)

    if inspect.isasyncgenfunction(function):
        return _yielding_async(function, begin)
    if inspect.isgeneratorfunction(function):
        return _yielding(function, begin)
    if inspect.iscoroutinefunction(function):
        return _awaiting(function, begin)
    return _calling(function, begin)


def _yielding_async(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def measured(*args: Any, **named: Any) -> AsyncIterator[Any]:
        with begin(named) as call:
            async for chunk in call.stream(function(*args, **named)):
                yield chunk

    return measured


def _yielding(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def measured(*args: Any, **named: Any) -> Iterator[Any]:
        with begin(named) as call:
            yield from call.stream(function(*args, **named))

    return measured


def _awaiting(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def measured(*args: Any, **named: Any) -> Any:
        call = begin(named)
        try:
            answer = await function(*args, **named)
        except BaseException as error:
            call.end(error)
            raise
        return _answered(call, answer)

    return measured


def _calling(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def measured(*args: Any, **named: Any) -> Any:
        call = begin(named)
        try:
            answer = function(*args, **named)
        except BaseException as error:
            call.end(error)
            raise
        return _answered(call, answer)

    return measured


def _answered(call: LlmCall, answer: Any) -> Any:
    if hasattr(answer, "__next__") or hasattr(answer, "__anext__"):
        return call.stream(answer, on_end=call.end)
    call.response(answer)
    call.end()
    return answer
