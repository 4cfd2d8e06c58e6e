"""What measuring a query costs: CPU time on SQLite in memory, ours and the contrib instrumentor, interleaved.

Usage: ``python -m benchmarks.db [--rounds 15] [--queries 500]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NoOpTracerProvider
from sqlalchemy import Engine, QueuePool, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import telemetry
from benchmarks.measure import cpu_microseconds, in_a_box, store

PACKAGES = ("sqlalchemy", "opentelemetry-instrumentation-sqlalchemy", "opentelemetry-sdk")


class Base(DeclarativeBase):
    """One table."""


class Author(Base):
    """A mapped class."""

    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)


def bare() -> Engine:
    """The engine, not measured."""
    engine = create_engine("sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(Author(id=1))
    return engine


def ours() -> Engine:
    """``telemetry.instrument_sqlalchemy`` with the SDK and a reader behind it."""
    engine = bare()
    in_a_box()
    telemetry.instrument_sqlalchemy(engine)
    return engine


def contrib() -> Engine:
    """The contrib instrumentor, metrics only: connections, it has no query metric."""
    engine = bare()
    SQLAlchemyInstrumentor().instrument(
        engine=engine,
        meter_provider=MeterProvider(metric_readers=[InMemoryMetricReader()]),
        tracer_provider=NoOpTracerProvider(),
    )
    return engine


def core(engine: Engine) -> Callable[[int], None]:
    """Core queries on one connection."""
    statement = select(Author.id).where(Author.id == 1)

    def run(count: int) -> None:
        with engine.connect() as connection:
            for _ in range(count):
                connection.execute(statement).scalar_one()

    return run


def orm(engine: Engine) -> Callable[[int], None]:
    """A session, a connection from the pool and one query each, as a request handler would."""

    def run(count: int) -> None:
        for _ in range(count):
            with Session(engine) as session:
                session.get_one(Author, 1)

    return run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--queries", type=int, default=500)
    chosen = parser.parse_args()
    engines = {"bare": bare(), "ours": ours(), "SQLAlchemyInstrumentor": contrib()}
    cpu = {
        kind: cpu_microseconds({name: run(engine) for name, engine in engines.items()}, chosen.rounds, chosen.queries)
        for kind, run in {"core": core, "orm": orm}.items()
    }
    store("db", {"rounds": chosen.rounds, "queries": chosen.queries, "cpu_us_per_query": cpu}, PACKAGES)
