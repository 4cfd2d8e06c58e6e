"""Connection pools as they stand: no drift, nothing guessed, nothing kept of an engine that is gone."""

from __future__ import annotations

import gc

import pytest
from sqlalchemy import AsyncAdaptedQueuePool, Engine, NullPool, QueuePool, StaticPool, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

import telemetry
from telemetry import testing


def _state(captured: testing.Captured, pool: str = "books") -> tuple[float | None, float | None]:
    return captured.value("db_connections_active", pool=pool), captured.value("db_connections_idle", pool=pool)


def test_pool_is_read_not_counted(engine: Engine, captured: testing.Captured) -> None:
    """Active and idle are the pool's own truth, whatever takes a connection out of it for good."""
    engine.dispose()
    with engine.connect(), engine.connect():
        assert _state(captured) == (2, 0)
    assert _state(captured) == (0, 2)
    connection = engine.connect()
    connection.detach()
    connection.close()
    assert _state(captured) == (0, 1)
    with engine.connect() as connection:
        connection.invalidate()
    assert _state(captured) == (0, 0)
    with engine.connect():
        engine.dispose()
        assert _state(captured) == (0, 0)


def test_size_and_overflow(url: str, captured: testing.Captured) -> None:
    """The configured size and what is open beyond it are there, before and after a dispose."""
    engine = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=2)
    telemetry.instrument_sqlalchemy(engine, pool="small")
    assert captured.value("db_pool_size", pool="small") == 1
    for _ in range(2):
        with engine.connect(), engine.connect(), engine.connect():
            assert captured.value("db_pool_overflow", pool="small") == 2
        assert captured.value("db_pool_overflow", pool="small") == 0
        engine.dispose()
    assert captured.value("db_pool_checkout_seconds", pool="small") == 6


def test_checkout_that_gives_up_is_counted(url: str, captured: testing.Captured) -> None:
    """Waiting for a connection is timed, and a wait in vain is a time-out; a pool without one says 0."""
    engine = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.1)
    telemetry.instrument_sqlalchemy(engine, pool="tight")
    assert captured.value("db_pool_timeouts_total", pool="tight") == 0
    with engine.connect(), pytest.raises(PoolTimeoutError):
        engine.connect()
    assert captured.value("db_pool_timeouts_total", pool="tight") == 1
    assert captured.value("db_pool_checkout_seconds", pool="tight") == 2
    waited = captured.histogram_sum("db_pool_checkout_seconds", pool="tight")
    assert waited is not None
    assert waited >= 0.1
    engine.dispose()


@pytest.mark.parametrize("kind", [NullPool, StaticPool])
def test_pools_that_cannot_tell(url: str, captured: testing.Captured, kind: type) -> None:
    """A pool without a count of its own has its active connections followed; what nobody knows is absent."""
    engine = create_engine(url, poolclass=kind)
    telemetry.instrument_sqlalchemy(engine, pool="plain")
    with engine.connect() as connection:
        connection.execute(text("select 1"))
        assert captured.value("db_connections_active", pool="plain") == 1
    assert captured.value("db_connections_active", pool="plain") == 0
    with engine.connect() as connection:
        connection.detach()
        assert captured.value("db_connections_active", pool="plain") == 0
    assert captured.value("db_connections_idle", pool="plain") == (0 if kind is NullPool else None)
    assert captured.value("db_pool_size", pool="plain") is None


def test_pools_of_one_name_add_up(url: str, captured: testing.Captured) -> None:
    """Two engines with one label are one series, their sum."""
    engines = [create_engine(url, poolclass=QueuePool, pool_size=3) for _ in range(2)]
    for engine in engines:
        telemetry.instrument_sqlalchemy(engine, pool="both")
    with engines[0].connect(), engines[1].connect():
        assert _state(captured, "both") == (2, 0)
    assert captured.value("db_pool_size", pool="both") == 6


def test_engine_that_is_gone_is_forgotten(url: str, captured: testing.Captured) -> None:
    """Engines made and dropped leave no reader behind."""
    for _ in range(5):
        engine = create_engine(url)
        telemetry.instrument_sqlalchemy(engine, pool="brief")
        with engine.connect():
            pass
        engine.dispose()
        del engine
    gc.collect()
    captured.total("db_connections_active")
    assert not captured.telemetry.database._pools


def test_engine_before_configuration(url: str) -> None:
    """An engine instrumented before `configure()` shows its pool as soon as it is used."""
    engine = create_engine(url)
    telemetry.instrument_sqlalchemy(engine, pool="early")
    with testing.captured() as captured, engine.connect() as connection:
        connection.execute(text("select 1"))
        assert captured.value("db_connections_active", pool="early") == 1
        assert captured.total("db_query_duration_seconds") == 1


async def test_async_pool(async_url: str, captured: testing.Captured) -> None:
    """An async engine's pool is one pool: active, idle, and what was detached from it is not idle."""
    engine = create_async_engine(async_url, poolclass=AsyncAdaptedQueuePool, pool_size=2)
    telemetry.instrument_sqlalchemy(engine, pool="async")
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        assert _state(captured, "async") == (1, 0)
    assert _state(captured, "async") == (0, 1)
    async with engine.connect() as connection:
        await connection.invalidate()
    assert _state(captured, "async") == (0, 0)
    assert captured.value("db_pool_size", pool="async") == 2
    await engine.dispose()
