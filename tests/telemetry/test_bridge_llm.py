"""gen_ai instrumentors of OpenAI and Anthropic through the bridge, with real clients and a vendor process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

from telemetry import testing
from tests.simulated_llm.conftest import RunningVendor, end, start

OPENAI = {"provider": "openai", "model": "gpt-4o-mini"}
ANTHROPIC = {"provider": "anthropic", "model": "claude-haiku-4-5"}
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def _running() -> Iterator[RunningVendor]:
    process, vendor = start()
    yield vendor
    end(process)


@pytest.fixture
def vendor(_running: RunningVendor, captured: testing.Captured) -> Iterator[RunningVendor]:
    """A vendor without any history, whose clients are instrumented."""
    _running.reset()
    instrumentors: tuple[Any, ...] = (OpenAIInstrumentor(), AnthropicInstrumentor())
    for instrumentor in instrumentors:
        instrumentor.instrument(meter_provider=captured.telemetry.meter_provider)
    yield _running
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def test_instrumentors_land_on_documented_series(captured: testing.Captured, vendor: RunningVendor) -> None:
    """Calls whole and streamed, of both vendors, count as our own records would, under the model that was asked for."""
    vendor.say("Hello")
    list(vendor.say("Hello", **STREAMED))
    vendor.ask("Hello")
    list(vendor.ask("Hello", stream=True))
    billed = {(line["model"], line["type"]): line["count"] for line in vendor.ledger()["tokens"]}
    for labels in (OPENAI, ANTHROPIC):
        assert captured.value("llm_requests_total", **labels) == 2
        assert captured.value("llm_request_duration_seconds", **labels) == 2
        assert captured.value("llm_time_to_first_token_seconds", **labels) == 1
        for kind in ("prompt", "completion"):
            assert captured.value("llm_tokens_used_total", **labels, type=kind) == billed[labels["model"], kind]
        assert (captured.value("llm_cost_usd_total", **labels) or 0) > 0
    assert captured.total("llm_requests_total") == 4
    assert captured.total("llm_unpriced_requests_total") == 0


def test_errors_have_our_names(captured: testing.Captured, vendor: RunningVendor) -> None:
    """An error is counted by its class, on the model that was asked for."""
    with pytest.raises(openai.InternalServerError):
        vendor.say("Please [[error:500]]")
    assert captured.value("errors_total", error_type="InternalServerError", component="llm") == 1
    assert captured.value("llm_requests_total", **OPENAI) == 1


def test_own_records_and_instrumentor_count_once(captured: testing.Captured, vendor: RunningVendor) -> None:
    """A vendor the application records itself is left to it; another one still comes from the instrumentor."""
    with captured.telemetry.llm.request(**OPENAI) as call:
        call.response(vendor.say("Hello"))
    with captured.telemetry.llm.request(**OPENAI) as call:
        list(call.stream(vendor.say("Hello", **STREAMED)))
    vendor.ask("Hello")
    assert captured.value("llm_requests_total", **OPENAI) == 2
    assert captured.value("llm_request_duration_seconds", **OPENAI) == 2
    assert captured.value("llm_requests_total", **ANTHROPIC) == 1
    tokens = vendor.ledger()["tokens_total"]
    for kind in ("prompt", "completion"):
        assert captured.total("llm_tokens_used_total", type=kind) == tokens[kind]


def test_agents_and_tools_are_no_requests(captured: testing.Captured) -> None:
    """Instrumentors time agents and tools with the same instrument; only calls to models are requests."""
    duration = captured.telemetry.meter_provider.get_meter("any").create_histogram("gen_ai.client.operation.duration")
    model = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    for operation in ("invoke_agent", "execute_tool", "chat", "embeddings"):
        duration.record(1, {**model, "gen_ai.operation.name": operation})
    assert captured.value("llm_requests_total", provider="openai", model="gpt-4o") == 2


def test_unpriced_once_per_call(captured: testing.Captured) -> None:
    """Input and output are two records of one call, which is unpriced once."""
    usage = captured.telemetry.meter_provider.get_meter("any").create_histogram("gen_ai.client.token.usage")
    for kind in ("input", "output"):
        usage.record(5, {"gen_ai.provider.name": "me", "gen_ai.request.model": "x", "gen_ai.token.type": kind})
    assert captured.value("llm_unpriced_requests_total", provider="me", model="x") == 1
