"""Anthropic's own client against the simulated vendor: what it gets is what the ledger says."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from tests.simulated_llm.conftest import RunningVendor

LONG = "A sentence that is repeated often. " * 300
CACHED: Any = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
WEATHER = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def test_message_says_simulated(vendor: RunningVendor) -> None:
    """The reply says once that it is simulated; its usage is the ledger's."""
    reply = vendor.ask("Who are you?")
    assert reply.content[0].text.count("simulated") == 1
    assert vendor.ledger()["tokens_total"] == {
        "prompt": reply.usage.input_tokens,
        "cached": 0,
        "completion": reply.usage.output_tokens,
    }


def test_stream_ends_with_usage(vendor: RunningVendor) -> None:
    """The last event but one has the final usage; the pieces make the text."""
    with vendor.anthropic.messages.stream(
        model="claude-haiku-4-5", max_tokens=500, messages=[{"role": "user", "content": "Stream it [[tokens:25]]"}]
    ) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(texts) == 25
    assert final.usage.output_tokens == 25
    assert final.stop_reason == "end_turn"
    assert vendor.ledger()["tokens_reported_total"]["completion"] == 25


def test_cache_is_written_then_read(vendor: RunningVendor) -> None:
    """What is marked for the cache is written at first and read afterwards; the three kinds of input are exclusive."""
    first = vendor.ask("One?", system=CACHED).usage
    second = vendor.ask("Two?", system=CACHED).usage
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 1024
    assert (first.cache_read_input_tokens, second.cache_creation_input_tokens) == (0, 0)
    assert first.input_tokens == second.input_tokens < 20
    books = vendor.ledger()
    written = first.cache_creation_input_tokens
    assert books["tokens_total"]["prompt"] == first.input_tokens + written + second.input_tokens
    assert (books["tokens_total"]["cached"], books["cache_written_total"]) == (written, written)


def test_unmarked_prompt_is_not_cached(vendor: RunningVendor) -> None:
    """Anthropic caches nothing it was not asked to."""
    assert [vendor.ask(LONG).usage.cache_read_input_tokens for _ in range(2)] == [0, 0]


def test_tool_is_called_when_asked(vendor: RunningVendor) -> None:
    """A tool that the client forces is called."""
    reply = vendor.ask("What is it like outside?", tools=[WEATHER], tool_choice={"type": "any"})
    assert reply.stop_reason == "tool_use"
    assert (reply.content[0].name, reply.content[0].input) == ("get_weather", {"city": "simulated"})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
def test_errors_have_anthropics_shape(
    vendor: RunningVendor, status: int, error: type[anthropic.APIStatusError]
) -> None:
    """The client raises the exception of each status."""
    with pytest.raises(error) as caught:
        vendor.ask(f"[[error:{status}]]")
    assert caught.value.status_code == status
    assert vendor.outcomes() == {str(status): 1}


def test_limit_is_required(vendor: RunningVendor) -> None:
    """A request without `max_tokens` is refused as Anthropic does."""
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        vendor.anthropic.post("/v1/messages", body={"model": "claude-haiku-4-5", "messages": []}, cast_to=object)
