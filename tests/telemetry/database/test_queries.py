"""Query durations on real engines: operation and table of every kind of statement."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.trace import NoOpTracerProvider
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    bindparam,
    create_engine,
    delete,
    func,
    insert,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, aliased
from sqlalchemy.schema import CreateTable

import telemetry
from telemetry import testing
from tests.telemetry.database.tables import Author, Base, Book

DURATION = "db_query_duration_seconds"

STATEMENTS = [
    (insert(Author).values(id=1), "INSERT", "authors"),
    (update(Book).values(author_id=2), "UPDATE", "books"),
    (delete(Book), "DELETE", "books"),
    (select(Author), "SELECT", "authors"),
    (select(Book).join(Author), "SELECT", "books"),
    (select(func.count()).select_from(Book), "SELECT", "books"),
    (select(aliased(Book)), "SELECT", "books"),
    (select(select(Book.id).where(Book.id > 1).subquery()), "SELECT", "books"),
    (select(select(Author.id).cte("recent")), "SELECT", "authors"),
    (union_all(select(Author.id), select(Book.id)), "SELECT", "authors"),
    (insert(Book).from_select(["id", "author_id"], select(Author.id, Author.id)), "INSERT", "books"),
    (select(func.count()), "SELECT", "other"),
    (CreateTable(Table("made", MetaData(), Column("id", Integer), prefixes=["TEMPORARY"])), "DDL", "made"),
    (text("select 1"), "SELECT", "other"),
    (text("/* why */ -- because\n SELECT 1"), "SELECT", "other"),
    (text("with t as (select 1) select * from t"), "other", "other"),
    (text("  DELETE from books"), "DELETE", "other"),
    (text("create temporary table t (x int)"), "DDL", "other"),
]


def _key(operation: str, table: str) -> tuple[tuple[str, str], ...]:
    return (("operation", operation), ("table", table))


@pytest.mark.parametrize(("statement", "operation", "table"), STATEMENTS, ids=str)
def test_statement_is_timed_once(
    engine: Engine, captured: testing.Captured, statement: object, operation: str, table: str
) -> None:
    """A statement is one observation, by operation and mapped table; its text is no label."""
    with engine.connect() as connection:
        connection.execute(statement)  # type: ignore[call-overload]
    assert captured.series(DURATION) == {_key(operation, table): 1}


def test_driver_sql_is_timed(engine: Engine, captured: testing.Captured) -> None:
    """SQL that SQLAlchemy passes through unread is timed, by its verb."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT id FROM authors")
    assert captured.series(DURATION) == {_key("SELECT", "other"): 1}


def test_same_statement_again_is_named_again(engine: Engine, captured: testing.Captured) -> None:
    """What is kept with a compiled statement names its next executions, whatever their parameters."""
    with engine.connect() as connection:
        for number in range(50):
            connection.execute(select(Book).where(Book.id == number))
    assert captured.series(DURATION) == {_key("SELECT", "books"): 50}


def test_orm_and_executemany(engine: Engine, captured: testing.Captured) -> None:
    """The ORM's statements count by their tables, many rows in one statement once."""
    with Session(engine) as session, session.begin():
        session.add_all([Author(id=number) for number in range(10)])
    assert captured.series(DURATION) == {_key("INSERT", "authors"): 1}
    with engine.begin() as connection:
        wanted = update(Author).where(Author.id == bindparam("was")).values(id=bindparam("now"))
        connection.execute(wanted, [{"was": number, "now": number + 100} for number in range(10)])
    assert captured.value(DURATION, operation="UPDATE", table="authors") == 1


def test_orm_loads_and_lazy_loads(engine: Engine, captured: testing.Captured) -> None:
    """Each statement the ORM sends on its own is timed: by primary key, by relationship, by refresh."""
    with Session(engine) as session:
        session.add(Author(id=1))
        session.flush()
        session.add(Book(id=1, author_id=1))
        session.commit()
        book = session.get(Book, 1)
        assert book is not None
        session.refresh(book)
        session.delete(book)
        session.commit()
    assert captured.value(DURATION, operation="SELECT", table="books") == 2
    assert captured.value(DURATION, operation="DELETE", table="books") == 1


def test_failed_statement_is_timed(engine: Engine, captured: testing.Captured) -> None:
    """What the database refused took time as well, under the table it was meant for."""
    with engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text("select nonsense"))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(Author), [{"id": 1}, {"id": 1}])
    assert captured.series(DURATION) == {_key("SELECT", "other"): 1, _key("INSERT", "authors"): 1}


async def test_async_engine_counts_once(async_url: str, captured: testing.Captured) -> None:
    """An async engine's statements, Core and ORM, count once, not twice; concurrent ones each for itself."""
    engine = create_async_engine(async_url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    telemetry.instrument_sqlalchemy(engine, pool="async")
    async with AsyncSession(engine) as session, session.begin():
        session.add(Author(id=1))

    async def ask() -> None:
        async with engine.connect() as connection:
            await connection.execute(select(Author))

    await asyncio.gather(*(ask() for _ in range(5)))
    assert captured.series(DURATION) == {_key("INSERT", "authors"): 1, _key("SELECT", "authors"): 5}
    await engine.dispose()


def test_first_look_at_a_server_is_not_counted(url: str, captured: testing.Captured) -> None:
    """What SQLAlchemy asks a server when it first connects is no query of the application."""
    engine = create_engine(url)
    telemetry.instrument_sqlalchemy(engine)
    with engine.connect():
        pass
    assert captured.series(DURATION) == {}
    engine.dispose()


def test_refused_version_is_said(url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where the auto-instrumentor refuses the installed SQLAlchemy, queries are measured and the log says so."""
    monkeypatch.setattr("opentelemetry.instrumentation.sqlalchemy.package._instruments", ("sqlalchemy < 1",))
    caplog.set_level("INFO", "telemetry")
    engine = create_engine(url)
    with testing.captured() as captured, engine.connect() as connection:
        telemetry.instrument_sqlalchemy(engine, pool="new")
        connection.execute(text("select 1"))
        assert captured.value(DURATION, operation="SELECT", table="other") == 1
    assert "pool=new" in caplog.text
    assert "wants 'sqlalchemy < 1'" in caplog.text
    assert "metrics are complete" in caplog.text


def test_engine_with_options_is_the_same_engine(engine: Engine, captured: testing.Captured) -> None:
    """An engine with other execution options is measured with the one it came from, and counts once."""
    other = engine.execution_options(logging_token="other")
    telemetry.instrument_sqlalchemy(other, pool="books")
    with other.connect() as connection:
        connection.execute(select(Author))
        assert captured.value("db_connections_active", pool="books") == 1
    del other
    assert captured.series(DURATION) == {_key("SELECT", "authors"): 1}
    assert captured.value("db_connections_idle", pool="books") == 1


def test_instrumentor_and_hooks_count_once(engine: Engine, captured: testing.Captured) -> None:
    """The auto-instrumentor beside our hooks adds nothing to queries or pools."""
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor.instrument(
        engine=engine, meter_provider=captured.telemetry.meter_provider, tracer_provider=NoOpTracerProvider()
    )
    try:
        with engine.connect() as connection:
            connection.execute(select(Author))
            assert captured.value("db_connections_active", pool="books") == 1
    finally:
        instrumentor.uninstrument()
    assert captured.series(DURATION) == {_key("SELECT", "authors"): 1}
