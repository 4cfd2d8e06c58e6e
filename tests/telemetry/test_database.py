"""Database metrics on real SQLite engines, sync and async."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, ForeignKey, create_engine, delete, insert, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import telemetry
from telemetry import testing


class Base(DeclarativeBase):
    """Tables of the tests."""


class Author(Base):
    """A mapped class."""

    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)


class Book(Base):
    """Another, for joins."""

    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))


@pytest.fixture
def engine(tmp_path: Path, captured: testing.Captured) -> Iterator[Engine]:
    """An instrumented engine with both tables."""
    made = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    Base.metadata.create_all(made)
    telemetry.instrument_sqlalchemy(made, pool="books")
    telemetry.instrument_sqlalchemy(made, pool="books")
    yield made
    made.dispose()


@pytest.mark.parametrize(
    ("statement", "operation", "table"),
    [
        (insert(Author).values(id=1), "INSERT", "authors"),
        (update(Book).values(author_id=2), "UPDATE", "books"),
        (delete(Book), "DELETE", "books"),
        (select(Author), "SELECT", "authors"),
        (select(Book).join(Author), "SELECT", "books"),
        (text("select 1"), "SELECT", "other"),
        (text("  DELETE from books"), "DELETE", "other"),
        (text("create table t (x int)"), "DDL", "other"),
        (text("PRAGMA user_version"), "other", "other"),
    ],
    ids=str,
)
def test_statement_is_timed_once(
    engine: Engine, captured: testing.Captured, statement: object, operation: str, table: str
) -> None:
    """A statement is one observation, by operation and mapped table; its text is no label."""
    with engine.begin() as connection:
        connection.execute(statement)  # type: ignore[call-overload]
    assert captured.series("db_query_duration_seconds") == {(("operation", operation), ("table", table)): 1}


def test_orm_and_executemany(engine: Engine, captured: testing.Captured) -> None:
    """The ORM's statements count by their tables, many rows in one statement once."""
    with Session(engine) as session, session.begin():
        session.add_all([Author(id=number) for number in range(10)])
    assert captured.total("db_query_duration_seconds", operation="INSERT", table="authors") == 1


def test_failed_statement_is_timed(engine: Engine, captured: testing.Captured) -> None:
    """What the database refused took time as well."""
    with engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("select nonsense"))
    assert captured.total("db_query_duration_seconds") == 1


def test_pool_is_read_not_counted(engine: Engine, captured: testing.Captured) -> None:
    """Active and idle are the pool's own truth, also after a connection left it for good."""

    def state() -> tuple[float | None, float | None]:
        return (
            captured.value("db_connections_active", pool="books"),
            captured.value("db_connections_idle", pool="books"),
        )

    engine.dispose()
    with engine.connect(), engine.connect():
        assert state() == (2, 0)
    assert state() == (0, 2)
    connection = engine.connect()
    connection.detach()
    connection.close()
    assert state()[0] == 0


async def test_async_engine_counts_once(tmp_path: Path, captured: testing.Captured) -> None:
    """An async engine's statements and connections count once, not twice."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'async.db'}")
    telemetry.instrument_sqlalchemy(engine, pool="async")
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        assert captured.value("db_connections_active", pool="async") == 1
    assert captured.total("db_query_duration_seconds", operation="SELECT") == 1
    await engine.dispose()
