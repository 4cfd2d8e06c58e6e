"""LLM metrics: what vendors report, and what is unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from telemetry import testing

OPENAI = {
    "usage": {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}},
}
ANTHROPIC = {
    "usage": {
        "input_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 10,
        "output_tokens": 20,
    },
}


def _tokens(captured: testing.Captured) -> dict[str, float]:
    return {kind: captured.total("llm_tokens_used_total", type=kind) for kind in ("prompt", "cached", "completion")}


def _objects(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: _objects(item) for key, item in value.items()})
    return value


@pytest.mark.parametrize("answer", [OPENAI, _objects(OPENAI), ANTHROPIC, _objects(ANTHROPIC)])
def test_token_types_are_exclusive(captured: testing.Captured, answer: Any) -> None:
    """Prompt, cached and completion add up to what the vendor bills, for both ways vendors count."""
    with captured.telemetry.llm.request(provider="openai", model="gpt-4o-mini") as call:
        call.response(answer)
    assert _tokens(captured) == {"prompt": 40, "cached": 60, "completion": 20}


def test_cost_is_the_price_librarys(captured: testing.Captured) -> None:
    """Cost follows the maintained price table, cached tokens at their own price."""
    with captured.telemetry.llm.request(provider="openai", model="gpt-4o-mini") as call:
        call.response(OPENAI)
    usage = Usage(input_tokens=100, output_tokens=20, cache_read_tokens=60)
    price = calc_price(usage, model_ref="gpt-4o-mini", provider_id="openai").total_price
    assert captured.total("llm_cost_usd_total") == pytest.approx(float(price))


@pytest.mark.parametrize(("provider", "model"), [("openai", "no-such-model"), ("nobody", "x"), ("openai", "whisper-1")])
def test_unknown_price_is_not_zero(captured: testing.Captured, provider: str, model: str) -> None:
    """A model without a price is counted as unpriced and has no cost series."""
    with captured.telemetry.llm.request(provider=provider, model=model) as call:
        call.response(OPENAI)
    assert captured.value("llm_cost_usd_total", provider=provider, model=model) is None
    assert captured.value("llm_unpriced_requests_total", provider=provider, model=model) == 1


def test_answer_without_usage_is_unpriced(captured: testing.Captured) -> None:
    """Without usage nothing is guessed."""
    with captured.telemetry.llm.request(provider="openai", model="gpt-4o-mini") as call:
        call.response({"choices": []})
    assert captured.total("llm_tokens_used_total") == 0
    assert captured.total("llm_unpriced_requests_total") == 1


def test_vendor_error_is_counted_by_type(captured: testing.Captured) -> None:
    """A call that raises is a request with a duration and one error; it is not billed and not unpriced."""
    with pytest.raises(TimeoutError), captured.telemetry.llm.request(provider="openai", model="gpt-4o"):
        raise TimeoutError
    assert captured.total("llm_requests_total") == captured.total("llm_request_duration_seconds") == 1
    assert captured.value("errors_total", error_type="TimeoutError", component="llm") == 1
    assert captured.total("llm_unpriced_requests_total") == 0


def test_cache_hit_is_a_request_without_a_call(captured: testing.Captured) -> None:
    """Hits are part of the requests, so that their ratio is the hit rate; no duration, tokens or cost."""
    captured.telemetry.llm.cache_hit(provider="openai", model="gpt-4o")
    assert captured.total("llm_requests_total") == captured.total("llm_cache_hits_total") == 1
    assert captured.total("llm_request_duration_seconds") == 0


def test_stream_reports_its_usage(captured: testing.Captured) -> None:
    """The usage in the last chunk of a stream counts, and the chunks pass unchanged."""
    chunks = [{"choices": [1]}, {"choices": [], **OPENAI}]
    with captured.telemetry.llm.request(provider="openai", model="gpt-4o-mini") as call:
        assert list(call.stream(iter(chunks))) == chunks
    assert _tokens(captured) == {"prompt": 40, "cached": 60, "completion": 20}


async def test_anthropic_stream_counts_once(captured: testing.Captured) -> None:
    """Input comes with the first event and output with the last; neither is counted twice."""

    async def events() -> AsyncIterator[dict[str, Any]]:
        start = {"usage": ANTHROPIC["usage"] | {"output_tokens": 1}}
        yield {"type": "message_start", "message": start}
        yield {"type": "content_block_delta"}
        yield {"type": "message_delta", "usage": {"output_tokens": 20}}

    with captured.telemetry.llm.request(provider="anthropic", model="claude-sonnet-4-5") as call:
        assert len([event async for event in call.stream(events())]) == 3
    assert _tokens(captured) == {"prompt": 40, "cached": 60, "completion": 20}


def test_aborted_stream_is_not_zero_usd(captured: testing.Captured) -> None:
    """A stream that breaks before its usage came is unpriced, and an error."""

    def broken() -> Iterator[dict[str, Any]]:
        yield {"choices": [1]}
        raise ConnectionError

    with (
        pytest.raises(ConnectionError),
        captured.telemetry.llm.request(provider="openai", model="gpt-4o-mini") as call,
    ):
        list(call.stream(broken()))
    assert captured.total("llm_unpriced_requests_total") == 1
    assert captured.value("errors_total", error_type="ConnectionError", component="llm") == 1


def test_usage_as_litellm_tells_it(captured: testing.Captured) -> None:
    """Anthropic's usage in OpenAI's form has all input in one number, and some of Anthropic's fields beside it."""
    usage = {
        "prompt_tokens": 40,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 10},
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 5,
    }
    with captured.telemetry.llm.request(provider="anthropic", model="claude-haiku-4-5") as call:
        call.response({"usage": usage})
    kinds = {"prompt": 30, "cached": 10, "completion": 7}
    assert {kind: captured.total("llm_tokens_used_total", type=kind) for kind in kinds} == kinds
