"""OpenAI's own client against the simulated vendor: what it gets is what the ledger says."""

from __future__ import annotations

import base64
import json

import httpx
import openai
import pytest

from support.wav import silence
from tests.simulated_llm.conftest import KEY, RunningVendor

LONG = "A sentence that is repeated often. " * 300
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


def test_reply_says_simulated(vendor: RunningVendor) -> None:
    """Text, fingerprint and header say that the reply is simulated; the text says it once."""
    raw = vendor.openai.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Who are you?"}]
    )
    reply = raw.parse()
    assert raw.headers["x-simulated"] == "true"
    assert str(reply.choices[0].message.content).count("simulated") == 1
    assert reply.system_fingerprint == "fp_simulated"
    assert reply.model == "gpt-4o-mini-2024-07-18"


def test_usage_adds_up(vendor: RunningVendor) -> None:
    """Prompt and completion make the total, and the ledger has the same."""
    usage = vendor.say("How long is a piece of string? [[tokens:120]]").usage
    assert (usage.completion_tokens, usage.total_tokens) == (120, usage.prompt_tokens + 120)
    books = vendor.ledger()
    assert books["tokens_total"] == {"prompt": usage.prompt_tokens, "cached": 0, "completion": 120}
    assert books["tokens_reported_total"] == books["tokens_total"]


def test_stream_reports_usage_last(vendor: RunningVendor) -> None:
    """A stream has one token a chunk, then the usage, equal to the ledger's."""
    chunks = list(vendor.say("Stream it [[tokens:33]]", stream=True, stream_options={"include_usage": True}))
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert len([text for text in texts if text]) == 33
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == 33
    assert vendor.ledger()["tokens_total"] == {"prompt": usage.prompt_tokens, "cached": 0, "completion": 33}


def test_stream_without_usage_is_billed(vendor: RunningVendor) -> None:
    """A client that asks for no usage is told none; the ledger bills it as not reported."""
    chunks = list(vendor.say("Stream it [[tokens:20]]", stream=True))
    assert not any(chunk.usage for chunk in chunks)
    books = vendor.ledger()
    assert books["tokens_total"]["completion"] == 20
    assert books["tokens_reported_total"]["completion"] == 0


def test_long_prefix_is_cached(vendor: RunningVendor) -> None:
    """The repeated beginning of a long prompt is billed as cached, in steps of 128 tokens from 1,024 on."""
    first = vendor.say(f"{LONG} First question?").usage
    second = vendor.say(f"{LONG} Another question?").usage
    assert first.prompt_tokens_details.cached_tokens == 0
    cached = second.prompt_tokens_details.cached_tokens
    assert 1024 <= cached < second.prompt_tokens
    assert cached % 128 == 0
    total = first.prompt_tokens + second.prompt_tokens
    assert vendor.ledger()["tokens_total"]["prompt"] == total - cached
    assert vendor.ledger()["tokens_total"]["cached"] == cached


def test_short_prompt_is_never_cached(vendor: RunningVendor) -> None:
    """A short prompt is billed in full each time."""
    assert [vendor.say("Hello").usage.prompt_tokens_details.cached_tokens for _ in range(3)] == [0, 0, 0]


def test_reasoning_is_billed(vendor: RunningVendor) -> None:
    """A model that thinks bills tokens that nobody sees, and says how many."""
    usage = vendor.say("Think!", model="gpt-5-mini").usage
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens
    assert vendor.ledger()["tokens_total"]["completion"] == usage.completion_tokens


def test_limit_cuts_the_reply(vendor: RunningVendor) -> None:
    """A reply ends at the limit the client sets, and says so."""
    reply = vendor.say("Tell me everything [[tokens:500]]", max_completion_tokens=40)
    assert (reply.usage.completion_tokens, reply.choices[0].finish_reason) == (40, "length")


@pytest.mark.parametrize("stream", [False, True])
def test_tool_is_called_when_asked(vendor: RunningVendor, stream: bool) -> None:
    """A tool that the message names is called with arguments that fit its schema, whole and streamed."""
    reply = vendor.say("Please use get_weather.", tools=[WEATHER], stream=stream)
    if stream:
        deltas = [chunk.choices[0].delta for chunk in reply]
        calls = [call.function for delta in deltas for call in delta.tool_calls or []]
        name, arguments = calls[0].name, "".join(call.arguments or "" for call in calls)
    else:
        call = reply.choices[0].message.tool_calls[0].function
        name, arguments = call.name, call.arguments
    assert name == "get_weather"
    assert set(json.loads(arguments)) == {"city", "days"}


def test_tool_is_left_alone_otherwise(vendor: RunningVendor) -> None:
    """Tools on offer do not keep the model from answering in words."""
    reply = vendor.say("How are you?", tools=[WEATHER])
    assert reply.choices[0].finish_reason == "stop"
    assert reply.choices[0].message.tool_calls is None


def test_images_are_pictures(vendor: RunningVendor) -> None:
    """Images are PNG files with usage, and the ledger counts them."""
    answer = vendor.openai.images.generate(model="gpt-image-1", prompt="a lighthouse", n=2)
    assert answer.data is not None
    pictures = [base64.b64decode(str(image.b64_json)) for image in answer.data]
    assert [picture[:8] for picture in pictures] == [b"\x89PNG\r\n\x1a\n"] * 2
    assert b"simulated" in pictures[0]
    books = vendor.ledger()
    assert answer.usage is not None
    assert (books["images_total"], books["tokens_total"]["completion"]) == (2, answer.usage.output_tokens)


def test_transcript_has_the_real_length(vendor: RunningVendor) -> None:
    """The length of a WAV file is its real one, its language the one that was asked for."""
    heard = vendor.openai.audio.transcriptions.create(
        model="whisper-1", file=("[[language:de]].wav", silence(2.5)), response_format="verbose_json"
    )
    assert (heard.duration, heard.language) == (2.5, "german")
    assert vendor.ledger()["audio"] == [{"model": "whisper-1", "language": "german", "seconds": 2.5}]


def test_other_audio_is_estimated(vendor: RunningVendor) -> None:
    """What is not WAV is as long as its size suggests; plain JSON has the length as usage."""
    heard = vendor.openai.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"\1" * 32_000))
    assert heard.usage is not None
    assert (heard.usage.type, getattr(heard.usage, "seconds", None)) == ("duration", 2.0)


def test_models_are_listed(vendor: RunningVendor) -> None:
    """Each client sees its own vendor's models."""
    assert "gpt-4o-mini" in [model.id for model in vendor.openai.models.list()]
    assert "claude-haiku-4-5" in [model.id for model in vendor.anthropic.models.list()]


def test_wrong_key_is_refused(vendor: RunningVendor) -> None:
    """A key that is not listed gets 401, on every endpoint."""
    stranger = vendor.openai.with_options(api_key="wrong")
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()


def test_unknown_model_is_refused(vendor: RunningVendor) -> None:
    """A model nobody offers, or another vendor's, gets 404; its name does not get into the ledger."""
    for name in ("gpt-nonsense", "claude-haiku-4-5"):
        with pytest.raises(openai.NotFoundError) as caught:
            vendor.say("hi", model=name)
        assert caught.value.code == "model_not_found"
    assert vendor.ledger()["requests"] == [{"api": "openai", "model": "unknown", "outcome": "404", "count": 2}]


def test_long_prompt_is_refused(vendor: RunningVendor) -> None:
    """A prompt that is longer than the model's context gets 400 with the vendor's code."""
    with pytest.raises(openai.BadRequestError) as caught:
        vendor.say("word " * 130_000)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "gpt-4o-mini", "messages": []}', b"\xff\xfe"])
def test_nonsense_is_refused(vendor: RunningVendor, body: bytes) -> None:
    """A body that is no request gets 400 in the vendor's shape."""
    answer = httpx.post(f"{vendor.url}/v1/chat/completions", content=body, headers={"x-api-key": KEY})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
