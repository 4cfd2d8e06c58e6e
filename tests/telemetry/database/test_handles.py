"""Engines can be measured, unmeasured and dropped: nothing is left of them, in whichever order things happen."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from sqlalchemy import Engine, NullPool, create_engine, insert, select, text
from sqlalchemy.exc import DBAPIError

import telemetry
from telemetry import process, testing
from telemetry.instrumentation.assumptions import Assumption
from telemetry.instrumentation.sqlalchemy import assumptions
from tests.telemetry.database.tables import Author, Base


@pytest.fixture(autouse=True)
def _nothing_measured_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines of other tests may not be garbage yet."""
    monkeypatch.setattr(process.current, "measured", process.Measured())


def _query(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1"))


@pytest.mark.parametrize("kind", [None, NullPool])
def test_closing_restores_the_engine(url: str, captured: testing.Captured, kind: Any) -> None:
    """A closed handle leaves dialect and pool as they were, and measures neither queries nor the pool."""
    engine = create_engine(url, poolclass=kind)
    _query(engine)
    before = (dict(vars(engine.dialect)), sorted(vars(engine.pool)))
    handle = telemetry.instrument_sqlalchemy(engine, pool="brief")
    assert telemetry.instrument_sqlalchemy(engine) is handle
    assert captured.telemetry.own_sources == {"database"}
    _query(engine)
    handle.close()
    handle.close()
    after = dict(vars(engine.dialect))
    assert after.pop("_telemetry_handle") is handle
    assert (after, sorted(vars(engine.pool))) == before
    _query(engine)
    engine.dispose()
    _query(engine)
    assert captured.total("db_query_duration_seconds") == 1
    assert captured.value("db_pool_checkout_seconds", pool="brief") == 1
    assert captured.value("db_connections_active", pool="brief") is None
    assert captured.telemetry.own_sources == set()
    with telemetry.instrument_sqlalchemy(engine, pool="again"):
        _query(engine)
    assert captured.total("db_query_duration_seconds") == 2


def test_closed_under_somebody_elses_hook(url: str, captured: testing.Captured) -> None:
    """A wrapper that somebody put around ours stays, and measures nothing of ours any more."""
    engine = create_engine(url)
    handle = telemetry.instrument_sqlalchemy(engine)
    seen, ours = [], engine.dialect.do_execute
    engine.dialect.do_execute = lambda *args, **named: (seen.append(1), ours(*args, **named))  # type: ignore[method-assign]
    checkout = engine.pool.connect
    engine.pool.connect = lambda: checkout()  # type: ignore[method-assign] # noqa: PLW0108
    _query(engine)
    handle.close()
    _query(engine)
    assert len(seen) >= 2
    assert captured.total("db_query_duration_seconds") == 1
    assert captured.total("db_pool_checkout_seconds") == 1


@pytest.mark.parametrize("name", ["connect", "recreate"])
def test_closed_over_somebody_elses_hook(url: str, captured: testing.Captured, name: str) -> None:
    """A wrapper that somebody put on a pool before ours is there again after it is closed, and one put on later stays."""
    engine = create_engine(url)
    original, seen = getattr(engine.pool, name), []
    earlier = lambda: (seen.append("earlier"), original())[1]  # noqa: E731
    setattr(engine.pool, name, earlier)
    with telemetry.instrument_sqlalchemy(engine):
        _query(engine)
    assert getattr(engine.pool, name) is earlier
    handle = telemetry.instrument_sqlalchemy(engine)
    ours = getattr(engine.pool, name)
    later = lambda: (seen.append("later"), ours())[1]  # noqa: E731
    setattr(engine.pool, name, later)
    handle.close()
    assert getattr(engine.pool, name) is later
    seen.clear()
    getattr(engine.pool, name)()
    assert seen == ["later", "earlier"]


def test_engines_of_tenants(captured: testing.Captured) -> None:
    """Engines that are dropped are forgotten without a collection, closed or not."""
    engines, handles = [], []
    for number in range(120):
        engine = create_engine("sqlite://")
        handle = telemetry.instrument_sqlalchemy(engine)
        _query(engine)
        engine.dispose()
        if number % 2:
            handle.close()
        engines.append(weakref.ref(engine))
        handles.append(weakref.ref(handle))
        del engine, handle
    gc.collect()
    assert [reference for reference in (*engines, *handles) if reference() is not None] == []
    assert not captured.telemetry.database._pools
    assert captured.telemetry.own_sources == set()


def test_instrumented_before_it_is_configured(url: str) -> None:
    """With an instrumentor behind the bridge a query of an early engine counts once."""
    engine = create_engine(url)
    telemetry.instrument_sqlalchemy(engine)
    with testing.captured() as captured:
        SQLAlchemyInstrumentor().instrument(engine=engine, meter_provider=captured.telemetry.meter_provider)
        try:
            meter = captured.telemetry.meter_provider.get_meter("opentelemetry.instrumentation.sqlalchemy")
            meter.create_histogram("db.client.operation.duration").record(0.1, {"db.operation.name": "select"})
            _query(engine)
        finally:
            SQLAlchemyInstrumentor().uninstrument()
        assert captured.total("db_query_duration_seconds") == 1


ALL = assumptions.STATEMENTS + assumptions.FIRST_LOOK + assumptions.CHECKOUTS + assumptions.IDLE + assumptions.OPTIONS


def test_assumptions_hold_today() -> None:
    """Every assumption holds for the installed SQLAlchemy."""
    assert [assumption for assumption in ALL if not assumption.holds()] == []


@pytest.mark.parametrize("missing", ALL, ids=lambda assumption: assumption.attribute)
def test_assumption_that_broke(
    url: str,
    captured: testing.Captured,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    missing: Assumption,
) -> None:
    """Whatever SQLAlchemy moves: queries are counted all the same, the log says what changed, and it is one error."""
    monkeypatch.setattr(process.current, "told", set())
    monkeypatch.setattr(Assumption, "holds", lambda self: self != missing)
    engine = create_engine(url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    handle = telemetry.instrument_sqlalchemy(engine)
    assert [missing.attribute in record.getMessage() for record in caplog.records] == [True]
    assert captured.value("errors_total", error_type="MissingAssumptionError", component="telemetry") == 1
    with engine.begin() as connection:
        connection.execute(insert(Author).values(id=1))
        assert len(connection.execute(select(Author)).all()) == 1
        with pytest.raises(DBAPIError):
            connection.execute(text("select * from nothing"))
    for operation, table in (("INSERT", "authors"), ("SELECT", "authors"), ("SELECT", "other")):
        assert captured.value("db_query_duration_seconds", operation=operation, table=table) == 1
    times_checkouts = missing not in assumptions.CHECKOUTS
    assert captured.total("db_pool_checkout_seconds") == (1 if times_checkouts else 0)
    handle.close()
    _query(engine)
    assert captured.total("db_query_duration_seconds") == 3


def test_engines_without_greenlet() -> None:
    """SQLAlchemy's asyncio cannot be imported without greenlet; engines are measured all the same."""
    program = """
import sys
sys.modules["sqlalchemy.ext.asyncio"] = None
import telemetry
from sqlalchemy import create_engine
assert not telemetry.instrument_sqlalchemy(create_engine("sqlite://")).is_closed
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])
