"""Prices by tier, by duration of a written cache and by length of the input, as the price library knows them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import genai_prices
import pytest
from genai_prices import Usage, calc_price, data_snapshot, types

import telemetry
from telemetry import process, testing
from telemetry.instrumentation import assumptions
from telemetry.instrumentation.llm.assumptions import AGE, HOURLY, OF_MODEL, PRICES, TIERS
from tests.simulated_llm.conftest import RunningVendor

GPT_5 = {"provider": "openai", "model": "gpt-5-mini"}
SONNET = {"provider": "anthropic", "model": "claude-sonnet-4-5"}
HAIKU = {"provider": "anthropic", "model": "claude-haiku-4-5"}
USED = {"prompt_tokens": 1000, "completion_tokens": 100}
LONG = "A sentence that is repeated often. " * 300


def _expected(labels: dict[str, str], context: dict[str, str] | None = None, **tokens: int) -> Any:
    price = calc_price(
        Usage(**tokens), model_ref=labels["model"], provider_id=labels["provider"], price_context=context
    )
    return pytest.approx(float(price.total_price))


@pytest.mark.parametrize(
    ("said", "asked", "context"),
    [
        ("default", None, None),
        (None, None, None),
        ("flex", None, {"service_tier": "flex"}),
        ("priority", None, {"service_tier": "priority"}),
        (None, "flex", {"service_tier": "flex"}),
        ("default", "priority", None),
        ("default", "batch", {"processing": "batch"}),
        ("batch", None, {"processing": "batch"}),
        ("scale", None, None),
    ],
)
def test_tier_has_its_price(captured: testing.Captured, said: str | None, asked: str | None, context: Any) -> None:
    """The answer says in which tier it was served; where it does not, what was asked for counts, and a batch always."""
    for answer in ({"usage": USED, "service_tier": said}, {"usage": {**USED, "service_tier": said}}):
        with captured.telemetry.llm.request(**GPT_5, service_tier=asked) as call:
            call.response(answer)
    expected = _expected(GPT_5, context, input_tokens=1000, output_tokens=100)
    assert captured.total("llm_cost_usd_total") / 2 == expected
    if context:
        assert captured.total("llm_cost_usd_total") / 2 != _expected(GPT_5, input_tokens=1000, output_tokens=100)


@pytest.mark.parametrize(
    ("said", "context"), [({"service_tier": "batch"}, {"processing": "batch"}), ({"speed": "fast"}, {"speed": "fast"})]
)
def test_tier_of_anthropic(captured: testing.Captured, said: dict[str, str], context: dict[str, str]) -> None:
    """Anthropic says in the usage that it was a batch, or fast."""
    labels = SONNET if "service_tier" in said else {"provider": "anthropic", "model": "claude-opus-5"}
    usage = {"input_tokens": 1000, "cache_read_input_tokens": 0, "output_tokens": 100, "service_tier": "standard"}
    with captured.telemetry.llm.request(**labels) as call:
        call.response({"usage": usage | said})
    expected = _expected(labels, context, input_tokens=1000, output_tokens=100)
    assert captured.total("llm_cost_usd_total") == expected != _expected(labels, input_tokens=1000, output_tokens=100)


def test_decorator_reads_the_tier_asked_for(captured: testing.Captured) -> None:
    """The decorated function's `service_tier` argument is what was asked for, and the decorator may say it."""

    @telemetry.llm_call(**GPT_5)
    def ask(*, service_tier: str) -> Any:
        return {"usage": USED}

    ask(service_tier="flex")
    telemetry.llm_call(**GPT_5, service_tier="flex")(lambda: {"usage": USED})()
    expected = _expected(GPT_5, {"service_tier": "flex"}, input_tokens=1000, output_tokens=100)
    assert captured.total("llm_cost_usd_total") / 2 == expected


@pytest.mark.parametrize("stream", [False, True])
def test_tier_through_the_client(captured: testing.Captured, vendor: RunningVendor, stream: bool) -> None:
    """OpenAI's answers and streams carry the tier they were served in."""
    options: Any = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    with captured.telemetry.llm.request(**GPT_5) as call:
        answer = vendor.say("Hello", model="gpt-5-mini", service_tier="flex", **options)
        list(call.stream(answer)) if stream else call.response(answer)
    with captured.telemetry.llm.request(**GPT_5) as call:
        asked: Any = {"model": "gpt-5-mini", "input": "Hello", "service_tier": "flex", "stream": stream}
        response = vendor.openai.responses.create(**asked)
        list(call.stream(response)) if stream else call.response(response)
    used = vendor.ledger()["tokens_total"]
    assert captured.total("llm_cost_usd_total") == _expected(
        GPT_5, {"service_tier": "flex"}, input_tokens=used["prompt"], output_tokens=used["completion"]
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_written_cache_is_priced_by_duration(
    captured: testing.Captured, vendor: RunningVendor, ttl: str, stream: bool
) -> None:
    """What Anthropic keeps for an hour costs more to write than what it keeps for five minutes."""
    system = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": ttl}}]
    with captured.telemetry.llm.request(**HAIKU) as call:
        answer = vendor.ask("Hello", model=HAIKU["model"], system=system, stream=stream)
        list(call.stream(answer)) if stream else call.response(answer)
    books = vendor.ledger()
    used, written = books["tokens_total"], books["cache_written_total"]
    tokens = {"input_tokens": used["prompt"], "output_tokens": used["completion"], "cache_write_tokens": written}
    hourly = {"cache_write_1h_tokens": written} if ttl == "1h" else {}
    assert written > 1000
    assert captured.total("llm_cost_usd_total") == _expected(HAIKU, **tokens, **hourly)


def test_written_cache_of_openai(captured: testing.Captured) -> None:
    """OpenAI counts what it wrote to its cache as a part of the input."""
    labels = {"provider": "openai", "model": "gpt-6-sol"}
    usage = {
        "input_tokens": 3000,
        "output_tokens": 1,
        "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 500},
    }
    with captured.telemetry.llm.request(**labels) as call:
        call.response({"usage": usage})
    tokens = {"input_tokens": 3000, "output_tokens": 1, "cache_read_tokens": 1000, "cache_write_tokens": 500}
    assert captured.total("llm_cost_usd_total") == _expected(labels, **tokens)
    assert captured.total("llm_tokens_used_total") == 3001


def test_long_input_has_its_step(captured: testing.Captured) -> None:
    """From some length on all tokens of a call cost more."""
    for tokens in (200_000, 200_001):
        with captured.telemetry.llm.request(**SONNET) as call:
            call.usage(prompt_tokens=tokens)
    assert captured.total("llm_cost_usd_total") == pytest.approx(200_000 * 3e-6 + 200_001 * 6e-6)


@pytest.mark.parametrize("assumption", [*PRICES, *TIERS, *AGE, OF_MODEL], ids=str)
def test_installed_library_keeps_our_assumptions(assumption: assumptions.Assumption) -> None:
    """Everything that pricing relies on is in the version that is installed."""
    assert assumption.holds()
    assert hasattr(Usage(), HOURLY.attribute)


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was said yet of what the library lacks."""
    monkeypatch.setattr(process.current, "told", set())


def _call(captured: testing.Captured, **usage: int) -> None:
    for _ in range(2):
        with captured.telemetry.llm.request(**SONNET, service_tier="batch") as call:
            call.usage(**usage)


@pytest.mark.usefixtures("untold")
def test_moved_snapshot_loses_no_cost(
    captured: testing.Captured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the library's table cannot be asked for its age, costs are the same and the date is unknown; it is said once."""
    snapshot = data_snapshot.get_snapshot()

    def moved(usage: Any, model_ref: str, *, provider_id: str, price_context: Any = None) -> Any:
        return snapshot.calc(usage, model_ref, provider_id, None, datetime.now(UTC), price_context)

    monkeypatch.setattr(genai_prices, "calc_price", moved)
    monkeypatch.delattr(data_snapshot, "get_snapshot")
    with caplog.at_level(logging.ERROR):
        _call(captured, prompt_tokens=1000)
        assert captured.total("llm_price_table_info", date="unknown") == 1
    assert captured.total("llm_cost_usd_total") == pytest.approx(2 * 1000 * 1.5e-6)
    assert captured.total("llm_unpriced_requests_total") == 0
    assert captured.value("errors_total", error_type="MissingAssumptionError", component="telemetry") == 1
    assert [record.message.count("get_snapshot") for record in caplog.records] == [1]


@pytest.mark.usefixtures("untold")
def test_library_without_tiers_prices_as_standard(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library knows no tiers, calls cost what they cost in the standard one; it is said once."""
    monkeypatch.delattr(types, "PriceContext")
    _call(captured, prompt_tokens=1000)
    assert captured.total("llm_cost_usd_total") == pytest.approx(2 * 1000 * 3e-6)
    assert captured.value("errors_total", error_type="MissingAssumptionError", component="telemetry") == 1


@pytest.mark.usefixtures("untold")
def test_library_without_model_prices(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a price does not say what the model is priced by, its total is the cost, and 0 is none."""
    original: Any = calc_price
    monkeypatch.setattr(genai_prices, "calc_price", lambda *a, **k: _Total(original(*a, **k).total_price))
    monkeypatch.setattr(types.PriceCalculation, "__annotations__", {})
    _call(captured, prompt_tokens=1000)
    assert captured.total("llm_cost_usd_total") == pytest.approx(2 * 1000 * 1.5e-6)


class _Total:
    def __init__(self, total_price: Any) -> None:
        self.total_price = total_price
