"""Streams that end early, late or never: what was reported, what is estimated, and what is left unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from telemetry import llm_call, testing

OPENAI = {"provider": "openai", "model": "gpt-4o-mini"}
ANTHROPIC = {"provider": "anthropic", "model": "claude-sonnet-4-5"}
WORDS = ["Four ", "score ", "and ", "seven ", "years ", "ago."]


def _openai(*, usage: bool) -> Iterator[dict[str, Any]]:
    yield {"choices": [{"delta": {"role": "assistant", "content": ""}}], "usage": None}
    for word in WORDS:
        yield {"choices": [{"delta": {"content": word}}], "usage": None}
    if usage:
        yield {"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 6}}


def _anthropic() -> Iterator[dict[str, Any]]:
    started = {"input_tokens": 30, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 0, "output_tokens": 1}
    yield {"type": "message_start", "message": {"usage": started}}
    for word in WORDS:
        yield {"type": "content_block_delta", "delta": {"type": "text_delta", "text": word}}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 6}}


def _estimated(captured: testing.Captured) -> dict[str, float]:
    return {
        kind: captured.total("llm_tokens_estimated_total", type=kind) for kind in ("prompt", "cached", "completion")
    }


def test_complete_stream_estimates_nothing(captured: testing.Captured) -> None:
    """What the vendor reported needs no estimate, and a stream read to its end was not aborted."""
    for labels, chunks in ((OPENAI, _openai(usage=True)), (ANTHROPIC, _anthropic())):
        with captured.telemetry.llm.request(**labels) as call:
            assert sum(1 for _ in call.stream(chunks)) == 8
    assert captured.total("llm_tokens_estimated_total") == 0
    assert captured.total("llm_streams_aborted_total") == 0
    assert captured.total("llm_unpriced_requests_total") == 0
    assert captured.total("llm_time_to_first_token_seconds") == 2


def test_aborted_stream_is_told_apart(captured: testing.Captured) -> None:
    """A stream its reader leaves is aborted and unpriced; what came of it is estimated apart from what is reported."""
    with captured.telemetry.llm.request(**OPENAI) as call:
        for number, _ in enumerate(call.stream(_openai(usage=True))):
            if number == 3:
                break
    came = sum(len(word) for word in WORDS[:3])
    assert _estimated(captured) == {"prompt": 0, "cached": 0, "completion": -(-came // 4)}
    assert captured.value("llm_streams_aborted_total", **OPENAI) == 1
    assert captured.value("llm_unpriced_requests_total", **OPENAI) == 1
    assert captured.total("llm_tokens_used_total") == 0
    assert captured.total("llm_cost_estimated_usd_total") == 0, "half a cost is not one"


def test_known_messages_make_an_estimated_cost(captured: testing.Captured) -> None:
    """With the messages at hand the input is estimated as well, and the cost with it."""
    messages = [{"role": "user", "content": "x" * 400}]
    with captured.telemetry.llm.request(**OPENAI, messages=messages) as call:
        next(iter(call.stream(_openai(usage=True))))
    assert _estimated(captured)["prompt"] == 101
    assert captured.value("llm_cost_estimated_usd_total", **OPENAI) == pytest.approx(101 * 0.15e-6)
    assert captured.total("llm_cost_usd_total") == 0


def test_reported_input_stays_reported(captured: testing.Captured) -> None:
    """Anthropic reports the input first: it counts as reported and priced, only the rest of the output is estimated."""
    stream = _anthropic()
    with captured.telemetry.llm.request(**ANTHROPIC) as call:
        watched = iter(call.stream(stream))
        for _ in range(7):
            next(watched)
    assert captured.total("llm_tokens_used_total", type="prompt") == 30
    assert captured.total("llm_tokens_used_total", type="cached") == 10
    assert captured.total("llm_tokens_used_total", type="completion") == 1
    assert _estimated(captured) == {"prompt": 0, "cached": 0, "completion": -(-len("".join(WORDS)) // 4) - 1}
    assert captured.total("llm_cost_usd_total") > 0
    assert captured.total("llm_cost_estimated_usd_total") > 0
    assert captured.total("llm_unpriced_requests_total") == 0


def test_stream_without_usage_was_not_aborted(captured: testing.Captured) -> None:
    """A vendor that was not asked for usage reports none: unpriced and estimated, but read to its end."""
    with captured.telemetry.llm.request(**OPENAI) as call:
        assert sum(1 for _ in call.stream(_openai(usage=False))) == 7
    assert captured.total("llm_streams_aborted_total") == 0
    assert captured.total("llm_unpriced_requests_total") == 1
    assert _estimated(captured)["completion"] > 0


@pytest.mark.parametrize(
    "delta",
    [
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "12345678"}}]}}]},
        {"choices": [{"delta": {"reasoning_content": "12345678"}}]},
        {"type": "content_block_delta", "delta": {"partial_json": "12345678"}},
        {"type": "content_block_delta", "delta": {"thinking": "12345678"}},
        {"type": "response.output_text.delta", "delta": "12345678"},
        {"choices": [{"delta": {"content": "سلام"}}]},
    ],
    ids=lambda delta: str(delta)[:60],
)
def test_everything_billed_is_estimated(captured: testing.Captured, delta: dict[str, Any]) -> None:
    """Tool calls, reasoning and scripts of two bytes a letter are output like any text."""
    with captured.telemetry.llm.request(**OPENAI) as call:
        list(call.stream(iter([delta])))
    assert _estimated(captured)["completion"] == 2


def test_responses_api_reports_in_its_last_event(captured: testing.Captured) -> None:
    """OpenAI's responses carry the usage in `response.completed`."""
    usage = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 7}
    events = [
        {"type": "response.created", "response": {"usage": None}},
        {"type": "response.output_text.delta", "delta": "text"},
        {"type": "response.completed", "response": {"usage": usage}},
    ]
    with captured.telemetry.llm.request(**OPENAI) as call:
        list(call.stream(iter(events)))
    used = {kind: captured.total("llm_tokens_used_total", type=kind) for kind in ("prompt", "cached", "completion")}
    assert used == {"prompt": 60, "cached": 40, "completion": 7}
    assert captured.total("llm_tokens_estimated_total") == 0


async def test_cancelled_stream_is_aborted(captured: testing.Captured) -> None:
    """An async stream whose reader is gone is aborted as well."""

    async def chunks() -> AsyncIterator[dict[str, Any]]:
        for chunk in _openai(usage=True):
            yield chunk

    async def relay() -> AsyncIterator[dict[str, Any]]:
        with captured.telemetry.llm.request(**OPENAI) as call:
            async for chunk in call.stream(chunks()):
                yield chunk

    relayed = relay()
    await anext(relayed)
    await relayed.aclose()  # type: ignore[attr-defined]
    assert captured.value("llm_streams_aborted_total", **OPENAI) == 1
    assert captured.total("llm_requests_total") == 1
    assert captured.total("errors_total") == 0


@pytest.mark.parametrize("is_read", [False, True])
async def test_closed_async_generator_is_over(captured: testing.Captured, is_read: bool) -> None:
    """An asynchronous generator that its reader closes is closed, and an aborted stream at once."""

    async def chunks() -> AsyncIterator[dict[str, Any]]:
        for chunk in _openai(usage=True):
            yield chunk

    vendors = chunks()
    stream: Any = llm_call(**OPENAI)(lambda: vendors)()
    if is_read:
        await anext(stream)
    await stream.aclose()
    assert captured.total("llm_requests_total") == captured.value("llm_streams_aborted_total", **OPENAI) == 1
    assert await anext(vendors, None) is None
    assert not hasattr(captured.telemetry.llm.request(**OPENAI).stream(iter([])), "aclose")


HOSTILE: list[Any] = [
    None, 7, "text", [], {}, {"choices": 5}, {"choices": [None, 3]}, {"choices": [{"delta": 9}]},
    {"type": []}, {"type": "chunk", "chunk": 7}, {"type": "message_stop", "message": {"usage": []}}, {"usage": "much"}, {"usage": {"prompt_tokens": -5, "completion_tokens": float("nan")}},
    {"usage": {"prompt_tokens": 10**400, "completion_tokens": True}}, {"message": 4, "delta": {"text": b"x"}},
    {"choices": [{"delta": {"tool_calls": "x", "content": "\ud800"}}]}, {"usage": {"seconds": float("inf")}},
]  # fmt: skip


@pytest.mark.parametrize("chunk", HOSTILE, ids=lambda chunk: str(chunk)[:40])
def test_hostile_chunks_pass(captured: testing.Captured, chunk: Any) -> None:
    """Whatever a vendor streams or answers reaches the application, counts one request and breaks no total."""
    with captured.telemetry.llm.request(**OPENAI) as call:
        assert list(call.stream(iter([chunk]))) == [chunk]
    with captured.telemetry.llm.request(**OPENAI) as call:
        call.response(chunk)
    assert captured.total("llm_requests_total") == 2
    assert 0 <= captured.total("llm_tokens_used_total") < float("inf")
