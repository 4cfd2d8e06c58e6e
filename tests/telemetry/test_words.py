"""What statements, vendors, tools and exceptions say is in no label and in no log line of ours, in whichever field they say it.

What the application itself chooses is a label: the model and the vendor that it calls (docs/recording.md), a table that it maps, a
task that it registers, the class of an exception.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy import StaticPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

import telemetry
from telemetry import guard, testing
from telemetry.instrumentation.bridge import RULES
from telemetry.unquoted import told
from tests.support.chat import CHAT

MARK = "canary7f3a91"


@pytest.fixture(autouse=True)
def _as_in_production(
    monkeypatch: pytest.MonkeyPatch, captured: testing.Captured, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Afterwards no series and no line has the word."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    monkeypatch.setattr(guard._State, "failures", 0)
    caplog.set_level(logging.DEBUG)
    yield
    found = [(spec.name, key) for spec in CHAT.specs for key in captured.series(spec.name) if MARK in str(key)]
    assert found == []
    assert [line for line in caplog.text.splitlines() if MARK in line and "telemetry" in line] == []
    assert MARK not in caplog.text


STATEMENTS = [
    f"SELECT '{MARK}'",
    f"SELECT 1 AS {MARK}",
    f"SELECT * FROM {MARK}",
    f"INSERT INTO {MARK} VALUES (1)",
    f"/* {MARK} */ SELECT 1",
    f"-- {MARK}\nSELECT 1",
    f"CREATE TABLE {MARK} ({MARK} TEXT)",
    f"UPDATE {MARK} SET {MARK} = '{MARK}'",
    f"{MARK} 1",
    f"WITH {MARK} AS (SELECT 1) SELECT * FROM {MARK}",
]


def test_statements(captured: testing.Captured) -> None:
    """Text of SQL, its parameters, names in it, and what the database says of it: all of it counts under `other`."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    telemetry.instrument_sqlalchemy(engine)
    with engine.connect() as connection:
        for statement in STATEMENTS:
            with suppress(SQLAlchemyError):
                connection.execute(text(statement))
        connection.execute(text("SELECT :word"), {"word": MARK})
        with suppress(SQLAlchemyError):
            connection.execute(text("SELECT :word"), {MARK: MARK})
    assert captured.total("db_query_duration_seconds", table="other") >= len(STATEMENTS) + 1


LABELS = {
    "http.request.method": "GET",
    "http.route": "/items/{item}",
    "http.response.status_code": 200,
    "db.operation.name": "SELECT",
    "db.collection.name": "items",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.token.type": "input",
}
BESIDE = (
    "url.full url.query url.path http.url server.address client.address user_agent.original http.request.header.x "
    "db.query.text db.statement db.query.parameter.id db.query.summary db.namespace db.user enduser.id user.id session.id "
    "gen_ai.response.model gen_ai.response.id gen_ai.tool.name gen_ai.tool.call.id gen_ai.tool.call.arguments "
    "gen_ai.tool.description gen_ai.agent.name gen_ai.agent.id gen_ai.conversation.id gen_ai.input.messages "
    "gen_ai.output.messages gen_ai.system_instructions gen_ai.prompt gen_ai.completion gen_ai.data_source.id exception.message "
    "messaging.destination.name celery.task_name code.function.name"
).split()


@pytest.mark.parametrize("instrument", sorted(RULES))
@pytest.mark.parametrize("name", BESIDE)
def test_attributes_that_are_no_label(captured: testing.Captured, instrument: str, name: str) -> None:
    """Whatever an instrumentor says besides of a request, a query, a call to a model, a tool."""
    histogram = captured.telemetry.meter_provider.get_meter("opentelemetry.instrumentation.any").create_histogram(
        instrument
    )
    histogram.record(0.5, {**LABELS, name: MARK, f"{name}.{MARK}": MARK})
    tool = {**LABELS, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": MARK, "gen_ai.request.model": MARK}
    if instrument.startswith("gen_ai."):
        histogram.record(0.5, tool)


CLOSED = ("http.request.method", "http.response.status_code", "db.operation.name", "gen_ai.token.type")


@pytest.mark.parametrize("name", CLOSED)
def test_wrong_values_of_labels(captured: testing.Captured, name: str) -> None:
    """A word where a closed value or a number belongs is `other`, or a failure that is logged without it."""
    meter = captured.telemetry.meter_provider.get_meter("opentelemetry.instrumentation.any")
    for instrument in sorted(RULES):
        meter.create_histogram(instrument).record(0.5, {**LABELS, name: MARK})


ANSWERS = [
    {"model": MARK, "id": MARK, "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    {"model": MARK, "service_tier": MARK, "usage": {"prompt_tokens": MARK, "completion_tokens": [MARK]}},
    {
        "system_fingerprint": MARK,
        "choices": [
            {
                "finish_reason": MARK,
                "message": {
                    "role": MARK,
                    "content": MARK,
                    "tool_calls": [{"id": MARK, "type": MARK, "function": {"name": MARK, "arguments": MARK}}],
                },
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, MARK: {MARK: 1}},
    },
    {
        "type": MARK,
        "stop_reason": MARK,
        "content": [{"type": "tool_use", "name": MARK, "input": {MARK: MARK}}],
        "usage": MARK,
    },
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_answers_of_vendors(captured: testing.Captured, answer: object) -> None:
    """What a vendor answers, models and tools that it names, and what it says is wrong."""
    for provider in ("openai", "anthropic"):
        with captured.telemetry.llm.request(provider=provider, model="gpt-4o") as call:
            call.response(answer)
        with suppress(ValueError), captured.telemetry.llm.request(provider=provider, model="gpt-4o"):
            raise ValueError(MARK)
    assert captured.total("llm_requests_total", model="gpt-4o") == 4
    assert captured.total("errors_total", component="llm", error_type="ValueError") == 2


def test_exceptions(captured: testing.Captured, caplog: pytest.LogCaptureFixture) -> None:
    """An exception counts by its class; one of ours is logged by its class and place, its causes, too."""
    captured.telemetry.errors.occurred(ValueError(MARK), component="tests")
    with guard.guarded("testing"):
        try:
            int(MARK)
        except ValueError as error:
            raise KeyError(MARK) from error
    assert "builtins.ValueError" in caplog.text
    assert "builtins.KeyError" in caplog.text
    assert "in test_exceptions" in caplog.text


def test_causes_that_are_a_circle_end() -> None:
    """A chain of causes that leads back to its beginning is told once."""
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert told(first).count("Traceback") == 2
