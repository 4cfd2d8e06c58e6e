"""OpenAI's own client against the simulated responses and embeddings; what it gets is what the ledger says."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.simulated_llm.conftest import RunningVendor

MODEL = "gpt-4o-mini"
LONG = "A sentence that is repeated often. " * 300
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
}


def test_response_is_billed(vendor: RunningVendor) -> None:
    """Text, usage and ledger agree, and a long beginning is cached the second time."""
    for cached in (False, True):
        response = vendor.openai.responses.create(model=MODEL, input=f"{LONG} {cached}", instructions="Be brief.")
        assert "simulated" in response.output_text
        assert response.usage is not None
        assert (response.usage.input_tokens_details.cached_tokens > 0) is cached
    books = vendor.ledger()["tokens_total"]
    assert books["cached"] == response.usage.input_tokens_details.cached_tokens
    assert books == vendor.ledger()["tokens_reported_total"]


def test_response_is_streamed(vendor: RunningVendor) -> None:
    """Events are numbered, a token each, and the last one carries what the first one promised."""
    events = list(vendor.openai.responses.create(model=MODEL, input="Go [[tokens:33]]", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events].count("response.output_text.delta") == 33
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    with vendor.openai.responses.stream(model=MODEL, input="Go [[tokens:33]]") as stream:
        final = stream.get_final_response()
    assert final.usage is not None
    assert final.usage.output_tokens == 33
    assert len(final.output_text) > 33


def test_limit_makes_it_incomplete(vendor: RunningVendor) -> None:
    """A response that ends at the client's limit says so, whole and streamed."""
    ask: Any = {"model": MODEL, "input": "Go [[tokens:90]]", "max_output_tokens": 20}
    response = vendor.openai.responses.create(**ask)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    *_, last = vendor.openai.responses.create(**ask, stream=True)
    assert (last.type, last.response.usage.output_tokens) == ("response.incomplete", 20)


@pytest.mark.parametrize("streamed", [False, True])
def test_function_is_called(vendor: RunningVendor, streamed: bool) -> None:
    """A function the client offers is called with arguments that fit its schema."""
    ask: Any = {"model": MODEL, "input": "Please [[tool]]", "tools": [WEATHER]}
    if streamed:
        with vendor.openai.responses.stream(**ask) as stream:
            (call,) = stream.get_final_response().output
    else:
        (call,) = vendor.openai.responses.create(**ask).output
    assert (call.type, call.name) == ("function_call", "get_weather")
    assert set(json.loads(call.arguments)) == {"city", "days"}


def test_embeddings_are_billed(vendor: RunningVendor) -> None:
    """Every text has its vector, and the input is what is billed."""
    answer = vendor.openai.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=8)
    assert [len(item.embedding) for item in answer.data] == [8, 8]
    assert vendor.ledger()["tokens_total"] == {"prompt": answer.usage.prompt_tokens, "cached": 0, "completion": 0}
    with pytest.raises(openai.RateLimitError):
        vendor.openai.embeddings.create(model="text-embedding-3-small", input="[[error:429]]")


@pytest.mark.parametrize(("asked", "served"), [(None, "default"), ("auto", "default"), ("flex", "flex")])
def test_tier_is_said(vendor: RunningVendor, asked: str | None, served: str) -> None:
    """Answers say in which tier they were served."""
    tier: Any = {"service_tier": asked} if asked else {}
    assert vendor.say("Hello", **tier).service_tier == served
    assert vendor.openai.responses.create(model=MODEL, input="Hello", **tier).service_tier == served


def test_written_cache_is_split_by_duration(vendor: RunningVendor) -> None:
    """Anthropic's answers say how long what was written is kept."""
    for ttl, kept in (("5m", "ephemeral_5m_input_tokens"), ("1h", "ephemeral_1h_input_tokens")):
        mark = {"type": "ephemeral", "ttl": ttl}
        usage = vendor.ask("Hello", system=[{"type": "text", "text": f"{ttl} {LONG}", "cache_control": mark}]).usage
        assert getattr(usage.cache_creation, kept) == usage.cache_creation_input_tokens > 1000
