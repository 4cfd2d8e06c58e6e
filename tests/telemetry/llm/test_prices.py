"""Prices: by the token, by the minute, unknown; and how old the table is."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest

from telemetry import testing
from telemetry.catalogue.llm import COST, ModelLabels
from telemetry.instrumentation.llm import pricing
from telemetry.instrumentation.llm.billing import LlmBilling
from telemetry.instrumentation.llm.notes import NOTE

GPT_4O: ModelLabels = {"provider": "openai", "model": "gpt-4o"}
WHISPER = {"provider": "openai", "model": "whisper-1"}


def test_model_priced_by_the_minute(captured: testing.Captured) -> None:
    """A transcription that reports seconds costs what the vendor asks for them, and uses no tokens."""
    with captured.telemetry.llm.request(**WHISPER) as call:
        call.response({"text": "…", "usage": {"type": "duration", "seconds": 90}})
    with captured.telemetry.llm.request(**WHISPER) as call:
        call.usage(audio_seconds=30)
    assert captured.value("llm_cost_usd_total", **WHISPER) == pytest.approx(2 * 0.006)
    assert captured.total("llm_tokens_used_total") == 0
    assert captured.total("llm_unpriced_requests_total") == 0


def test_wrong_unit_is_no_price(captured: testing.Captured) -> None:
    """Seconds of a model that is priced by the token have no price, which is not 0."""
    with captured.telemetry.llm.request(provider="openai", model="gpt-4o") as call:
        call.usage(audio_seconds=30)
    assert captured.total("llm_unpriced_requests_total") == 1
    assert captured.series("llm_cost_usd_total") == {}


def test_price_table_says_its_date(captured: testing.Captured) -> None:
    """Once something was priced, the table's version and the day of its newest price are there as an info series."""
    assert captured.series("llm_price_table_info") == {}
    with captured.telemetry.llm.request(provider="openai", model="gpt-4o") as call:
        call.usage(prompt_tokens=1, completion_tokens=1)
    ((labels, value),) = captured.series("llm_price_table_info").items()
    assert value == 1
    assert dict(labels)["version"] == version("genai-prices")
    day = datetime.fromisoformat(dict(labels)["date"]).date()
    assert datetime(2025, 1, 1, tzinfo=UTC).date() < day <= datetime.now(UTC).date()


def test_call_does_not_wait_for_prices(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the price library loads, calls return at once and count their tokens; their costs follow."""
    look_up, loaded = pricing.cost_in_usd, threading.Event()
    monkeypatch.setattr(pricing, "cost_in_usd", lambda *bill: look_up(*bill) if loaded.wait(30) else None)
    monkeypatch.setattr(pricing, "is_ready", loaded.is_set)
    for _ in range(3):
        with captured.telemetry.llm.request(provider="openai", model="gpt-4o") as call:
            call.usage(prompt_tokens=1_000_000)
    assert [t.name for t in threading.enumerate()].count("telemetry-prices") == 1
    loaded.set()
    assert captured.total("llm_tokens_used_total") == 3_000_000
    assert captured.total("llm_cost_usd_total") == pytest.approx(3 * 2.5)


def test_noted_call_is_kept_until_its_price_is_there(
    captured: testing.Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed while it looks a price up has the call in its box, for whoever delivers for it."""
    look_up, kept = pricing.cost_in_usd, []

    def looking_up(*bill: Any) -> float | None:
        kept.append([moved.amounts for _, moved in captured.telemetry.meter_provider.box.notes(NOTE)])
        return look_up(*bill)

    monkeypatch.setattr(pricing, "is_ready", lambda: False)
    monkeypatch.setattr(pricing, "cost_in_usd", looking_up)
    monkeypatch.setattr(LlmBilling, "_load", lambda billing: None)
    for _ in range(2):
        with captured.telemetry.llm.request(provider="openai", model="gpt-4o") as call:
            call.usage(prompt_tokens=1_000_000)
    captured.telemetry.settle()
    assert kept == [[[2.0]]]
    assert list(captured.telemetry.meter_provider.box.notes(NOTE)) == []
    assert captured.total("llm_cost_usd_total") == pytest.approx(2 * 2.5)


def test_box_given_up_while_a_price_is_looked_up(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends meanwhile leaves the noted call to whoever delivers its box, and says nothing."""
    look_up, given_up = pricing.cost_in_usd, []

    def looking_up(*bill: Any) -> float | None:
        box = captured.telemetry.meter_provider.renew()
        assert box is not None
        given_up.append(box)
        return look_up(*bill)

    monkeypatch.setattr(pricing, "is_ready", lambda: False)
    monkeypatch.setattr(pricing, "cost_in_usd", looking_up)
    monkeypatch.setattr(LlmBilling, "_load", lambda billing: None)
    with captured.telemetry.llm.request(provider="openai", model="gpt-4o") as call:
        call.usage(prompt_tokens=1_000_000)
    captured.telemetry.settle()
    assert [moved.amounts for _, moved in given_up[0].notes(NOTE)] == [[1.0]]
    assert captured.series("llm_cost_usd_total") == {}


def test_call_is_priced_at_once_when_the_prices_are_there(captured: testing.Captured) -> None:
    """From the first look-up on, a cost is counted in the call: nothing is put off that a kill could take."""
    with captured.telemetry.llm.request(provider="openai", model="gpt-4o") as call:
        call.usage(prompt_tokens=1_000_000)
    captured.telemetry.settle()
    with captured.telemetry.llm.request(provider="openai", model="gpt-4o") as call:
        call.usage(prompt_tokens=1_000_000)
    assert captured.telemetry.instruments.counter(COST).bind(GPT_4O).standing() == pytest.approx(2 * 2.5)


def test_missing_price_library_is_unpriced(
    captured: testing.Captured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the extra `llm` every call counts as unpriced, at once and as no error, and one line says what to install."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setattr(pricing._Library, "is_ready", False)
    pricing._is_installed.cache_clear()
    for _ in range(3):
        with captured.telemetry.llm.request(provider="openai", model="gpt-4o") as call:
            call.usage(prompt_tokens=1_000_000)
    captured.telemetry.settle()
    pricing._is_installed.cache_clear()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "pip install 'fleet-telemetry[llm]'" in said[0]
    assert captured.total("errors_total") == 0
    assert captured.total("llm_unpriced_requests_total") == captured.total("llm_requests_total") == 3
    assert captured.series("llm_cost_usd_total") == {}
