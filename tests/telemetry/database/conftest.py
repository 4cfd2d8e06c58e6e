"""The databases the tests run on: SQLite always, PostgreSQL with `-m postgres`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url

import telemetry
from telemetry import testing
from tests.support.postgres import program, running_postgres
from tests.telemetry.database.tables import Base

_SYNC = [pytest.param("sqlite", id="sqlite"), pytest.param("postgres", id="postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server that lives as long as the tests."""
    if program("initdb") is None:
        pytest.skip("PostgreSQL is not installed")
    with running_postgres() as url:
        yield url


@pytest.fixture(params=_SYNC)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def async_url(url: str) -> str:
    """The same database, for an async engine."""
    return url.replace("sqlite:", "sqlite+aiosqlite:") if make_url(url).get_backend_name() == "sqlite" else url


@pytest.fixture
def engine(url: str, captured: testing.Captured) -> Iterator[Engine]:
    """An instrumented engine with all tables."""
    made = create_engine(url)
    Base.metadata.drop_all(made)
    Base.metadata.create_all(made)
    telemetry.instrument_sqlalchemy(made, pool="books")
    telemetry.instrument_sqlalchemy(made, pool="books")
    yield made
    made.dispose()
