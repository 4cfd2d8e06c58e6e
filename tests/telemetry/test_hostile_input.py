"""Ten thousand wrong, huge and random inputs at every entrance: nothing raises, nothing grows beyond its budget."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import StaticPool, column, create_engine, table
from sqlalchemy.exc import OperationalError

import telemetry
from telemetry import guard, testing
from telemetry.metrics.clamp import MAX_LENGTH
from telemetry.metrics.stream import MOST_SERIES as MAX_SERIES
from tests.support import chat
from tests.support.chat import CHAT

MANY = 10_000
ODD = [
    "",
    "\ud800",
    "a\nb\x00c",
    "x" * 100_000,
    "'; drop table users--",
    "{route}",
    "🜁" * 300,
    "%00%ff",
    "..",
    "\u202eabc",
]


def _hostile_names(seed: int) -> Iterator[str]:
    draw = random.Random(seed)
    for number in range(MANY):
        yield ODD[number % len(ODD)] if number % 50 == 0 else f"{draw.getrandbits(64):x}"


@pytest.fixture(autouse=True)
def _as_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(guard.RAISE_VARIABLE)


def _assert_bounded(captured: testing.Captured) -> None:
    for spec in CHAT.specs:
        series = captured.series(spec.name)
        assert len(series) <= MAX_SERIES + 1, spec.name
        budgets = {label.name: label.budget.limit for label in spec.label_set() if label.budget}
        for label, limit in budgets.items():
            values = {dict(key)[label] for key in series}
            assert len(values) <= limit + 1, (spec.name, label)
            assert all(0 < len(value) <= MAX_LENGTH and value.isprintable() for value in values)


async def test_hostile_paths_and_methods(captured: testing.Captured) -> None:
    """Ten thousand random paths with random methods are `unmatched`, by known methods; every one is counted."""
    app = FastAPI()
    app.get("/items/{item}")(lambda item: item)
    telemetry.instrument(app)
    methods = ["GET", "POST", "BREW", "get", "\x00", "M" * 5000, "OPTIONS", "QUERY"]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        assert message["type"].startswith("http.response")

    for number, path in enumerate(_hostile_names(1)):
        scope = {
            "type": "http",
            "method": methods[number % len(methods)],
            "path": f"/{path}",
            "raw_path": b"/",
            "query_string": b"\xff",
            "headers": [(b"host", b"\xff\xfe")],
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "client": None,
            "server": None,
        }
        await app(scope, receive, send)
    assert captured.total("http_requests_total") == MANY
    assert captured.total("http_requests_total", endpoint="unmatched") == MANY
    assert len(captured.series("http_requests_total")) <= 5
    assert captured.series("http_requests_in_progress") == {}
    _assert_bounded(captured)


def test_hostile_verbs(captured: testing.Captured) -> None:
    """Random values at every verb stay within the budgets, and each event counts somewhere."""
    recorded = captured.telemetry
    for number, name in enumerate(_hostile_names(2)):
        recorded.http.route(name, name).started()
        recorded.http.route(name, name).ended()
        recorded.http.answered(name, name, number, 0.1)
        recorded.http.websockets.opened(name)
        recorded.http.websockets.message_sent(name)
        recorded.http.websockets.closed(name, number, 0.1)
        recorded.database.query_executed(name, name, 0.1)
        recorded.database.connection_handed_out(name, 0.1)
        chat.of(recorded).audio_transcribed(seconds=60, provider=name, language=name)
        chat.of(recorded).image_generated(model=name)
        recorded.errors.occurred(name, component=name)
    assert captured.total("http_requests_total") == MANY
    assert captured.total("http_request_duration_seconds") == MANY
    assert captured.total("websocket_connections_total") == MANY
    assert captured.total("db_query_duration_seconds") == MANY
    assert captured.total("audio_transcribed_minutes_total") == MANY
    assert captured.total("images_generated_total") == MANY
    assert captured.total("errors_total") == MANY
    assert captured.total("http_requests_in_progress") == 0
    assert captured.total("websocket_connections_open") == 0
    _assert_bounded(captured)


def test_hostile_models(captured: testing.Captured) -> None:
    """Random vendors and models are counted, unpriced, and the price library is not made to remember them all."""
    from genai_prices.data_snapshot import get_snapshot

    remembered = len(get_snapshot()._provider_cache)
    for name in _hostile_names(3):
        with captured.telemetry.llm.request(provider=name, model=name) as call:
            call.usage(prompt_tokens=1, completion_tokens=1)
    assert captured.total("llm_requests_total") == MANY
    assert captured.total("llm_tokens_used_total") == 2 * MANY
    assert captured.total("llm_unpriced_requests_total") == MANY
    assert captured.series("llm_cost_usd_total") == {}
    assert len(get_snapshot()._provider_cache) - remembered <= 2_000
    assert len(captured.telemetry.llm._own_providers) <= 100
    _assert_bounded(captured)


def test_hostile_tables(captured: testing.Captured) -> None:
    """Statements on random tables, which all fail, are timed under the budget of table names."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    telemetry.instrument_sqlalchemy(engine)
    names = [name for name in _hostile_names(4) if "\x00" not in name and "\ud800" not in name][:2_000]
    with engine.connect() as connection:
        for name in names:
            with pytest.raises(OperationalError):
                connection.execute(table(name or "t", column("c")).select())
    assert captured.total("db_query_duration_seconds", operation="SELECT") == 2_000
    _assert_bounded(captured)


AMOUNTS = [float("nan"), float("inf"), -float("inf"), -1, -0.0001, 10**400, "1", None, [], True]


@pytest.mark.parametrize("amount", AMOUNTS, ids=lambda amount: str(amount)[:10])
def test_hostile_amounts(captured: testing.Captured, amount: Any) -> None:
    """No amount raises, none makes a total negative, infinite or not a number, and right ones still count."""
    recorded = captured.telemetry
    for _ in range(2):
        recorded.http.answered("GET", "/x", 200, amount)
        recorded.database.query_executed("SELECT", "t", amount)
        chat.of(recorded).audio_transcribed(seconds=amount, provider="p", language="en")
        recorded.llm.call_ended("openai", "gpt-4o", amount)
        chat.of(recorded).operation("get", bucket="b", transferred_bytes=amount)
        with recorded.llm.request(provider="openai", model="gpt-4o") as call:
            call.usage(prompt_tokens=amount, completion_tokens=amount, audio_seconds=amount)
        chat.of(recorded).observe_users_active(amount)
    recorded.database.query_executed("SELECT", "t", 0.1)
    assert (captured.value("db_query_duration_seconds", operation="SELECT", table="t") or 0) >= 1
    for spec in CHAT.by_name.values():
        for value in captured.series(spec.name).values():
            assert 0 <= value < float("inf"), spec.name


def test_series_are_bounded_together(captured: testing.Captured) -> None:
    """Labels that are each within their budget do not multiply without end."""
    for endpoint in range(400):
        for status in range(60):
            captured.telemetry.http.answered("GET", f"/{endpoint}", 200 + status, 0.1)
    assert captured.total("http_requests_total") == 24_000
    assert len(captured.series("http_requests_total")) <= MAX_SERIES + 1
    assert captured.total("http_requests_total", endpoint="other", status_code="other") >= 14_000 - 1
