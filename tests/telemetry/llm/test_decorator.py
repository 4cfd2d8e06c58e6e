"""`telemetry.llm_call` around every kind of function."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

import pytest

import telemetry
from telemetry import testing

ANSWER = {"usage": {"prompt_tokens": 100, "completion_tokens": 20}}
OPENAI = {"provider": "openai", "model": "gpt-4o-mini"}
observed = telemetry.llm_call(provider="openai", model="gpt-4o-mini")


class VendorStream:
    """A stream as vendors' clients have it: an iterator with attributes and a context manager."""

    def __init__(self, *chunks: Any) -> None:
        self._chunks = iter(chunks)
        self.closed = False
        self.request_id = "r-1"

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._chunks)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True


@observed
def whole() -> Any:
    """A sync call."""
    return ANSWER


@observed
async def whole_async() -> Any:
    """An async call."""
    return ANSWER


@observed
def yielding() -> Iterator[Any]:
    """A generator."""
    yield {"choices": []}
    yield ANSWER


@observed
async def yielding_async() -> AsyncIterator[Any]:
    """An async generator."""
    yield {"choices": []}
    yield ANSWER


@observed
def streaming() -> VendorStream:
    """A function that returns the vendor's stream."""
    return VendorStream({"choices": []}, ANSWER)


@observed
async def streaming_async() -> VendorStream:
    """An async one."""
    return VendorStream({"choices": []}, ANSWER)


async def _use(function: Any) -> list[Any]:
    result = function()
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, dict):
        return [result]
    if hasattr(result, "__anext__") and function is not streaming:
        return [chunk async for chunk in result]
    return list(result)


@pytest.mark.parametrize("function", [whole, whole_async, yielding, yielding_async, streaming, streaming_async])
async def test_every_kind_is_one_call(captured: testing.Captured, function: Any) -> None:
    """One call of the function is one request with its duration, tokens and cost; what it gives is unchanged."""
    assert (await _use(function))[-1] == ANSWER
    assert captured.value("llm_requests_total", **OPENAI) == 1
    assert captured.value("llm_request_duration_seconds", **OPENAI) == 1
    assert captured.value("llm_tokens_used_total", **OPENAI, type="prompt") == 100
    assert captured.total("llm_cost_usd_total") > 0
    assert captured.total("llm_streams_aborted_total") == 0
    assert function.__doc__


@pytest.mark.parametrize("is_async", [False, True])
async def test_errors_are_counted_by_type(captured: testing.Captured, is_async: bool) -> None:
    """What the function raises reaches its caller and is one error."""

    @observed
    def fails() -> None:
        raise TimeoutError

    @observed
    async def fails_async() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await _use(fails_async if is_async else fails)
    assert captured.value("errors_total", error_type="TimeoutError", component="llm") == 1
    assert captured.total("llm_requests_total") == 1


def test_vendors_stream_stays_the_vendors(captured: testing.Captured) -> None:
    """Attributes and `with` work; a stream that is closed early is aborted, once."""
    with streaming() as stream:
        assert stream.request_id == "r-1"
        next(stream)
    assert stream.closed
    stream.close()
    assert captured.value("llm_streams_aborted_total", **OPENAI) == 1
    assert captured.total("llm_requests_total") == 1


def test_model_from_the_call(captured: testing.Captured) -> None:
    """Without a fixed model it is the function's `model` argument."""

    @telemetry.llm_call(provider="openai")
    def ask(*, model: str, messages: list[dict[str, str]]) -> Any:
        return ANSWER

    ask(model="gpt-4o", messages=[])
    assert captured.value("llm_requests_total", provider="openai", model="gpt-4o") == 1


class Array:
    """Has no truth, as the arrays of numpy and the frames of pandas have none."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


@pytest.mark.parametrize("name", ["messages", "input"])
def test_arrays_are_arguments(captured: testing.Captured, name: str) -> None:
    """What is sent to the vendor may be of any type; nothing of ours reaches the caller."""

    @telemetry.llm_call(**OPENAI)
    def ask(**named: object) -> object:
        return ANSWER

    assert ask(**{name: Array()}) is ANSWER
    assert captured.total("llm_requests_total") == 1
