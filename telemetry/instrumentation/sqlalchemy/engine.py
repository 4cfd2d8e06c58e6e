"""Observes SQLAlchemy engines: statements as they execute, pools as they stand; no SQL text leaves the process.

Statements are timed where the dialect hands them to the driver. Engine events would tell the same, but one listener
makes SQLAlchemy dispatch all its events for every query, which costs five times as much as the measurement.
"""

from __future__ import annotations

import functools
import logging
import weakref
from collections.abc import Callable
from time import perf_counter
from typing import Any

import sqlalchemy
from sqlalchemy import Dialect, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from telemetry import guard
from telemetry.domains.database import DatabaseRecorder
from telemetry.instrumentation.sqlalchemy.pool import ObservedPool
from telemetry.instrumentation.sqlalchemy.statement import operation_and_table

_logger = logging.getLogger("telemetry")

_TO_THE_DRIVER = ("do_execute", "do_executemany", "do_execute_no_params")
_instrumented: weakref.WeakSet[Dialect] = weakref.WeakSet()


def instrument_sqlalchemy(
    engine: Engine | AsyncEngine, recorder: Callable[[], DatabaseRecorder], pool: str = "main"
) -> None:
    """Observe the queries and the pool of an engine.

    Args:
        engine: A sync or async engine; a second call with the same engine does nothing.
        recorder: Gives the recorder of the calling process.
        pool: The ``pool`` label.
    """
    sync_engine = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    # An engine with other execution options shares dialect and pool with the one it came from, and may be gone earlier.
    sync_engine = getattr(sync_engine, "_proxied", sync_engine)
    if sync_engine.dialect in _instrumented:
        return
    _instrumented.add(sync_engine.dialect)
    for name in _TO_THE_DRIVER:
        setattr(sync_engine.dialect, name, _timed(getattr(sync_engine.dialect, name), recorder))
    ObservedPool(sync_engine, recorder, pool)
    _logger.info(
        "telemetry: database metrics of pool=%s come from our own hooks on SQLAlchemy %s%s",
        pool,
        sqlalchemy.__version__,
        _traces(),
    )


def _timed(execute: Callable[..., None], recorder: Callable[[], DatabaseRecorder]) -> Callable[..., None]:
    """A dialect's way to the driver, timed from the call to its return, successful or not."""

    @functools.wraps(execute)
    def timed(cursor: Any, statement: str, *rest: Any, **named: Any) -> None:
        began = perf_counter()
        try:
            execute(cursor, statement, *rest, **named)
        finally:
            seconds = perf_counter() - began
            try:
                context = named["context"] if "context" in named else rest[-1]
                if not _is_first_look(context):
                    recorder().query_executed(*operation_and_table(statement, context), seconds)
            except Exception as error:
                guard.swallow(error, "timing a query")

    return timed


def _is_first_look(context: Any) -> bool:
    """Whether SQLAlchemy asks the server for its version and settings, which no application asked for."""
    return context is not None and context.root_connection.__dict__.get("_has_events") is False


def _traces() -> str:
    """A remark where the auto-instrumentor is installed and refuses this version of SQLAlchemy."""
    with guard.guarded("comparing the version of SQLAlchemy with what its instrumentor takes"):
        try:
            from opentelemetry.instrumentation.dependencies import get_dependency_conflicts
            from opentelemetry.instrumentation.sqlalchemy.package import _instruments
        except ImportError:
            return ""
        if get_dependency_conflicts(_instruments) is not None:
            return f"; its auto-instrumentor wants {_instruments[0]!r} and makes no traces here, metrics are complete"
    return ""
