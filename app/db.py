"""Engines and sessions: async ones for the app, one sync engine per worker process; no queries here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, configure_mappers

import telemetry
from app.process import PerProcess
from app.settings import get_settings

BUSY_TIMEOUT_SECONDS = 5
CONNECT_TIMEOUT_SECONDS = 3
_PAGES_KIB = 64  # of the file, kept by each connection; the kernel keeps them for all
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA cache_size=-{_PAGES_KIB}",
)

Sessions = async_sessionmaker[AsyncSession]


def async_url(database_url: str) -> URL:
    """Return the URL with the driver the app uses."""
    return _with_driver(database_url, sqlite="sqlite+aiosqlite")


def sync_url(database_url: str) -> URL:
    """Return the URL with the driver the worker and the migrations use."""
    return _with_driver(database_url, sqlite="sqlite+pysqlite")


def _with_driver(database_url: str, *, sqlite: str) -> URL:
    url = make_url(database_url)
    return url.set(drivername=sqlite if url.get_backend_name() == "sqlite" else "postgresql+psycopg")


def _options(url: URL) -> dict[str, Any]:
    """Return engine options under which a database that is down is noticed within seconds."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}, "pool_timeout": 5}
    return {
        "connect_args": {"connect_timeout": CONNECT_TIMEOUT_SECONDS},
        "pool_timeout": 5,
        "pool_pre_ping": True,
    }


def _prepare(engine: Engine) -> None:
    """Make every SQLite connection use the write-ahead log and wait for a writer instead of failing."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in _SQLITE_PRAGMAS:
            cursor.execute(pragma)
        cursor.close()


def make_async_engine(database_url: str) -> AsyncEngine:
    """Return the app's engine, observed by telemetry."""
    url = async_url(database_url)
    engine = create_async_engine(url, **_options(url))
    _prepare(engine.sync_engine)
    telemetry.instrument_sqlalchemy(engine, pool="main")
    return engine


def make_sessions(engine: AsyncEngine) -> Sessions:
    """Return the factory of the app's sessions."""
    return async_sessionmaker(engine, expire_on_commit=False)


def make_sync_engine(database_url: str) -> Engine:
    """Return an engine for sync code, not observed by telemetry."""
    url = sync_url(database_url)
    engine = create_engine(url, **_options(url))
    _prepare(engine)
    return engine


@PerProcess
def sync_engine() -> Engine:
    """Return this process's engine, made at first use and so never inherited by a forked child."""
    engine = make_sync_engine(get_settings().database_url)
    telemetry.instrument_sqlalchemy(engine, pool="main")
    return engine


def load() -> None:
    """Load what the sync engine and its sessions need, without making or connecting one."""
    sync_url(get_settings().database_url).get_dialect().import_dbapi()
    configure_mappers()


@contextmanager
def sync_session() -> Iterator[Session]:
    """Give a session whose work is committed at the end, or rolled back after an exception."""
    with Session(sync_engine(), expire_on_commit=False) as session, session.begin():
        yield session
