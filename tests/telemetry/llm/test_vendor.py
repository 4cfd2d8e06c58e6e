"""LLM metrics against a vendor process and its books, through the vendors' own clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from support.waiting import eventually
from telemetry import testing
from tests.simulated_llm.conftest import RunningVendor, end, start

OPENAI = {"provider": "openai", "model": "gpt-4o-mini"}
ANTHROPIC = {"provider": "anthropic", "model": "claude-haiku-4-5"}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
LONG = "Tell me about the history of the city, please. " * 150


def _used(captured: testing.Captured) -> dict[str, float]:
    return {kind: captured.total("llm_tokens_used_total", type=kind) for kind in ("prompt", "cached", "completion")}


def _openai_whole(vendor: RunningVendor, call: Any, text: str) -> None:
    call.response(vendor.say(text))


def _openai_stream(vendor: RunningVendor, call: Any, text: str) -> None:
    list(call.stream(vendor.say(text, stream=True, stream_options={"include_usage": True})))


def _openai_tool(vendor: RunningVendor, call: Any, text: str) -> None:
    call.response(vendor.say(f"{text} [[tool]]", tools=[TOOL]))


def _openai_tool_stream(vendor: RunningVendor, call: Any, text: str) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    list(call.stream(vendor.say(f"{text} [[tool]]", tools=[TOOL], **options)))


def _anthropic_whole(vendor: RunningVendor, call: Any, text: str) -> None:
    call.response(vendor.ask(text))


def _anthropic_stream(vendor: RunningVendor, call: Any, text: str) -> None:
    list(call.stream(vendor.ask(text, stream=True)))


def _anthropic_cached(vendor: RunningVendor, call: Any, text: str) -> None:
    system = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    call.response(vendor.ask(text, system=system))


@pytest.mark.parametrize(
    ("labels", "ask"),
    [
        (OPENAI, _openai_whole),
        (OPENAI, _openai_stream),
        (OPENAI, _openai_tool),
        (OPENAI, _openai_tool_stream),
        (ANTHROPIC, _anthropic_whole),
        (ANTHROPIC, _anthropic_stream),
        (ANTHROPIC, _anthropic_cached),
    ],
)
def test_tokens_are_the_vendors_bill(
    captured: testing.Captured, vendor: RunningVendor, labels: dict[str, str], ask: Any
) -> None:
    """Prompt, cached and completion are what the vendor's books say, the second time from its prompt cache."""
    for _ in range(3):
        with captured.telemetry.llm.request(**labels) as call:
            ask(vendor, call, LONG)
    billed = vendor.ledger()["tokens_total"]
    assert _used(captured) == billed
    assert billed["completion"] > 0
    assert captured.value("llm_requests_total", **labels) == 3
    assert captured.total("llm_cost_usd_total") > 0
    assert captured.total("llm_tokens_estimated_total") == 0
    assert captured.total("llm_unpriced_requests_total") == 0


@pytest.fixture
def patient() -> Iterator[RunningVendor]:
    """A vendor that takes seconds for a long reply, so that a client can leave it before its end."""
    process, vendor = start(SIMULATED_LLM_SPEED="5")
    yield vendor
    end(process)


def test_aborted_stream_is_estimated(captured: testing.Captured, patient: RunningVendor) -> None:
    """A stream the client closes: reported tokens stay the reported ones, the estimate is near what was billed."""
    vendor = patient
    with captured.telemetry.llm.request(**OPENAI, messages=[{"role": "user", "content": LONG}]) as call:
        stream = vendor.say(f"{LONG} [[tokens:1000]]", stream=True, stream_options={"include_usage": True})
        for number, _ in enumerate(call.stream(stream)):
            if number == 40:
                break
        stream.close()
    assert captured.value("llm_streams_aborted_total", **OPENAI) == 1
    assert _used(captured) == {"prompt": 0, "cached": 0, "completion": 0}
    assert eventually(lambda: vendor.outcomes() == {"aborted": 1})
    estimated = captured.value("llm_tokens_estimated_total", **OPENAI, type="prompt") or 0
    assert estimated == pytest.approx(vendor.ledger()["tokens_total"]["prompt"], rel=0.5)
    assert captured.total("llm_cost_estimated_usd_total") > 0
    assert captured.total("llm_cost_usd_total") == 0


def test_connection_that_breaks(captured: testing.Captured, vendor: RunningVendor) -> None:
    """A stream the vendor breaks off is one request, one error by class, and aborted."""
    with pytest.raises(Exception) as caught, captured.telemetry.llm.request(**OPENAI) as call:  # noqa: PT011
        list(call.stream(vendor.say("Go [[drop:7]]", stream=True, stream_options={"include_usage": True})))
    assert captured.value("errors_total", error_type=type(caught.value).__name__, component="llm") == 1
    assert captured.value("llm_streams_aborted_total", **OPENAI) == 1
    assert captured.total("llm_requests_total") == 1


@pytest.mark.parametrize(
    ("control", "error"), [("[[error:429]]", openai.RateLimitError), ("[[error:500]]", openai.InternalServerError)]
)
def test_vendor_errors_by_class(
    captured: testing.Captured, vendor: RunningVendor, control: str, error: type[Exception]
) -> None:
    """An error of the vendor is a request and an error by its class; nothing is billed or estimated."""
    with pytest.raises(error), captured.telemetry.llm.request(**OPENAI) as call:
        call.response(vendor.say(f"Please {control}"))
    assert captured.value("errors_total", error_type=error.__name__, component="llm") == 1
    assert captured.total("llm_requests_total") == 1
    assert captured.total("llm_tokens_used_total") == captured.total("llm_tokens_estimated_total") == 0


def test_timeout_by_class(captured: testing.Captured, vendor: RunningVendor) -> None:
    """A vendor that does not answer in time is a time-out."""
    client = vendor.openai.with_options(timeout=0.3)
    messages: Any = [{"role": "user", "content": "Wait [[hang:30]]"}]
    with pytest.raises(openai.APITimeoutError), captured.telemetry.llm.request(**OPENAI) as call:
        call.response(client.chat.completions.create(model="gpt-4o-mini", messages=messages))
    assert captured.value("errors_total", error_type="APITimeoutError", component="llm") == 1


def test_recording_costs_its_seconds(captured: testing.Captured, vendor: RunningVendor) -> None:
    """whisper-1 is billed by the seconds the vendor heard."""
    with captured.telemetry.llm.request(provider="openai", model="whisper-1") as call:
        audio = ("a.mp3", b"\1" * 64_000)
        call.response(vendor.openai.audio.transcriptions.create(model="whisper-1", file=audio))
    (heard,) = vendor.ledger()["audio"]
    assert captured.total("llm_cost_usd_total") == pytest.approx(heard["seconds"] / 60 * 0.006)
    assert captured.total("llm_unpriced_requests_total") == 0
