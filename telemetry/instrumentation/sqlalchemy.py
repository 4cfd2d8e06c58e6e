"""Observes SQLAlchemy engines: statements as they execute, pools as they stand; no SQL text leaves the process."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from telemetry import guard
from telemetry.domains.database import DatabaseRecorder
from telemetry.instrumentation._sqlalchemy_pool import ObservedPool
from telemetry.instrumentation._sqlalchemy_statement import operation_and_table

_STARTED = "_telemetry_started"


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
    if event.contains(sync_engine, "before_cursor_execute", _query_started):
        return
    listeners = _QueryListeners(recorder)
    event.listen(sync_engine, "before_cursor_execute", _query_started)
    event.listen(sync_engine, "after_cursor_execute", listeners.ended)
    event.listen(sync_engine, "handle_error", listeners.failed)
    ObservedPool(sync_engine, recorder, pool)


def _query_started(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> None:
    if context is not None:
        context._telemetry_started = perf_counter()  # noqa: SLF001 - our own attribute


class _QueryListeners:
    """Times a statement from the driver's call to its return, successful or not."""

    def __init__(self, recorder: Callable[[], DatabaseRecorder]) -> None:
        self._recorder = recorder

    def ended(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        self._record(statement, context)

    def failed(self, failure: ExceptionContext) -> None:
        self._record(failure.statement or "", failure.execution_context)

    def _record(self, statement: str, context: Any) -> None:
        try:
            started = context.__dict__.pop(_STARTED, None) if context is not None else None
            if started is not None:
                seconds = perf_counter() - started
                self._recorder().query_executed(*operation_and_table(statement, context), seconds)
        except Exception as error:
            guard.swallow(error, "timing a query")
