"""Who prices calls that could not be priced at once: a thread of ours or a collection, never the calling thread."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from telemetry import testing
from telemetry.catalogue.llm import COST, UNPRICED, ModelLabels
from telemetry.domains.llm_tokens import TokenUsage
from telemetry.instrumentation.llm import pricing
from telemetry.instrumentation.llm.billing import LlmBilling
from telemetry.instrumentation.llm.notes import MOST_DIFFERENT, NOTE, Bill, pieces

GPT_4O = {"provider": "openai", "model": "gpt-4o"}
PER_TOKEN = 2.5e-6
_LABELS: ModelLabels = {"provider": "openai", "model": "gpt-4o"}


class Library:
    """The price library, that can be held back; it knows who looked something up."""

    def __init__(self) -> None:
        self.loaded = threading.Event()
        self.asked_by: list[int] = []

    def cost_in_usd(self, provider: str, model: str, usage: TokenUsage) -> float:
        self.asked_by.append(threading.get_ident())
        assert self.loaded.wait(30)
        return usage.prompt * PER_TOKEN


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    library = Library()
    monkeypatch.setattr(pricing, "cost_in_usd", library.cost_in_usd)
    monkeypatch.setattr(pricing, "is_ready", library.loaded.is_set)
    yield library
    library.loaded.set()


def _call(captured: testing.Captured, prompt: int) -> None:
    with captured.telemetry.llm.request(**GPT_4O) as call:
        call.usage(prompt_tokens=prompt)


def _notes(captured: testing.Captured) -> int:
    return sum(1 for _ in captured.telemetry.meter_provider.box.notes(NOTE))


async def test_event_loop_prices_nothing(captured: testing.Captured, library: Library) -> None:
    """However many calls wait for the price library, none is priced on the event loop, and none is lost."""
    prompts = range(1, 1501)
    for prompt in prompts:
        _call(captured, prompt)
    assert threading.get_ident() not in library.asked_by
    library.loaded.set()
    await asyncio.to_thread(captured.telemetry.settle)
    assert captured.value("llm_cost_usd_total", **GPT_4O) == pytest.approx(sum(prompts) * PER_TOKEN)
    assert threading.get_ident() not in library.asked_by


def test_notes_are_bounded(captured: testing.Captured, library: Library) -> None:
    """Bills beyond a few thousand different ones need no more room, and add up to the same cost."""
    prompts = range(1, MOST_DIFFERENT + 1500)
    for prompt in prompts:
        _call(captured, prompt)
    assert _notes(captured) <= MOST_DIFFERENT + 50
    library.loaded.set()
    assert captured.value("llm_cost_usd_total", **GPT_4O) == pytest.approx(sum(prompts) * PER_TOKEN)
    assert captured.total("llm_unpriced_requests_total") == 0
    assert _notes(captured) == 0


def test_no_room_for_a_note_is_unpriced(
    captured: testing.Captured, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where models without end fill all notes, the calls beyond are known to have no price."""
    stream = captured.telemetry._billing._notes._stream
    monkeypatch.setattr(stream, "_most", 11)
    for number in range(30):
        with captured.telemetry.llm.request(provider="openai", model=f"model-{number}") as call:
            call.usage(prompt_tokens=1)
    assert (
        captured.telemetry.instruments.counter(UNPRICED).bind({"provider": "openai", "model": "model-29"}).standing()
        == 1
    )
    library.loaded.set()
    assert captured.total("llm_unpriced_requests_total") == 20


def test_caller_does_not_wait_for_who_settles(
    captured: testing.Captured, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another thread prices what is noted, a call is noted as well; it waits for nobody."""
    _call(captured, 1)
    while not library.asked_by:
        time.sleep(0.001)
    assert library.asked_by != [threading.get_ident()]
    monkeypatch.setattr(pricing, "is_ready", lambda: True)
    _call(captured, 2)
    assert threading.get_ident() not in library.asked_by
    library.loaded.set()
    assert captured.value("llm_cost_usd_total", **GPT_4O) == pytest.approx(3 * PER_TOKEN)


def test_flush_waits_for_who_settles(captured: testing.Captured, library: Library) -> None:
    """Who settles before an export waits for the thread that is at it: what it exports has every cost."""
    _call(captured, 1)
    while not library.asked_by:
        time.sleep(0.001)
    costs: list[float] = []

    def flush() -> None:
        captured.telemetry.settle()
        costs.append(captured.telemetry.instruments.counter(COST).bind(_LABELS).standing())

    flushing = threading.Thread(target=flush)
    flushing.start()
    flushing.join(0.05)
    assert costs == []
    library.loaded.set()
    flushing.join()
    assert costs == [pytest.approx(PER_TOKEN)]


def test_no_thread_for_the_library(
    captured: testing.Captured, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started, the next collection prices what is noted; nobody tries again for each call."""
    tried: list[str] = []

    def start(thread: threading.Thread) -> None:
        tried.append(thread.name)
        raise RuntimeError

    monkeypatch.setattr(threading.Thread, "start", start)
    for _ in range(3):
        _call(captured, 1)
    assert (tried, library.asked_by) == (["telemetry-prices"], [])
    library.loaded.set()
    captured.telemetry.observe()
    assert captured.value("llm_cost_usd_total", **GPT_4O) == pytest.approx(3 * PER_TOKEN)


def test_price_table_is_not_read_by_the_caller(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The age of the prices takes milliseconds to find: a collection finds it, and no call."""
    asked_by: list[int] = []
    monkeypatch.setattr(pricing, "is_ready", lambda: True)
    monkeypatch.setattr(pricing, "price_table", lambda: asked_by.append(1) or ("1", "2026-01-01"))
    _call(captured, 1)
    assert asked_by == []
    assert captured.total("llm_price_table_info") == 1


@pytest.mark.parametrize(
    "usage",
    [
        TokenUsage(),
        TokenUsage(prompt=1023, cached=77, completion=5),
        TokenUsage(prompt=1000, cached=1, completion=0, cache_written=900, cache_written_1h=333, service_tier="flex"),
        TokenUsage(audio_seconds=12.345),
    ],
)
def test_pieces_add_up(usage: TokenUsage) -> None:
    """The pieces of a bill cost what the bill costs, and only one of them counts as a call without a price."""
    parts = pieces(Bill("openai", "gpt-4o", usage))
    for field in ("prompt", "cached", "completion", "cache_written", "cache_written_1h", "audio_seconds"):
        assert sum(getattr(part.usage, field) for part in parts) == pytest.approx(getattr(usage, field))
    assert {part.usage.service_tier for part in parts} == {usage.service_tier}
    assert sum(part.counts_unpriced for part in parts) == 1


def test_lost_library_leaves_notes_to_others(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may not use the library notes for others, within bounds."""
    monkeypatch.setattr(pricing, "is_ready", lambda: False)
    monkeypatch.setattr(pricing, "is_lost", lambda: True)
    monkeypatch.setattr(LlmBilling, "_load", lambda billing: sys.exit("nobody may load it"))
    for prompt in range(1, 50):
        _call(captured, prompt)
    captured.telemetry.observe()
    assert _notes(captured) == 49
