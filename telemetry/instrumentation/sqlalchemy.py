"""Observes SQLAlchemy engines: statements as they execute, pools as they stand; no SQL text leaves the process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, Pool, event
from sqlalchemy.engine import Connection, ExceptionContext, ExecutionContext
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql import Delete, Insert, Select, Update
from sqlalchemy.sql.ddl import ExecutableDDLElement

from telemetry import guard
from telemetry.domains.database import DatabaseRecorder

OTHER = "other"
_STARTED = "telemetry_query_started"
_VERBS = {"SELECT", "INSERT", "UPDATE", "DELETE"}
_DDL_VERBS = {"CREATE", "ALTER", "DROP", "TRUNCATE"}


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
    recorder().read_pool_from(pool, lambda: _active(sync_engine.pool), lambda: _idle(sync_engine.pool))


def _active(pool: Pool) -> int:
    checked_out: Callable[[], int] | None = getattr(pool, "checkedout", None)
    return checked_out() if checked_out is not None else 0


def _idle(pool: Pool) -> int:
    checked_in: Callable[[], int] | None = getattr(pool, "checkedin", None)
    return checked_in() if checked_in is not None else 0


def _query_started(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: ExecutionContext, many: bool
) -> None:
    connection.info[_STARTED] = time.perf_counter()


class _QueryListeners:
    """Times a statement from the driver's call to its return, successful or not."""

    def __init__(self, recorder: Callable[[], DatabaseRecorder]) -> None:
        self._recorder = recorder

    def ended(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        self._record(connection, statement, context)

    def failed(self, context: ExceptionContext) -> None:
        if context.connection is not None:
            self._record(context.connection, context.statement or "", context.execution_context)

    def _record(self, connection: Connection, statement: str, context: Any) -> None:
        with guard.guarded("timing a query"):
            started = connection.info.pop(_STARTED, None)
            if started is not None:
                seconds = time.perf_counter() - started
                self._recorder().query_executed(*_operation_and_table(statement, context), seconds)


def _operation_and_table(statement: str, context: Any) -> tuple[str, str]:
    compiled = getattr(context, "compiled", None)
    element = getattr(compiled, "statement", None)
    operation = _operation(element, statement)
    return operation, _table(element)


def _operation(element: Any, statement: str) -> str:
    match element:
        case Insert():
            return "INSERT"
        case Update():
            return "UPDATE"
        case Delete():
            return "DELETE"
        case Select():
            return "SELECT"
        case ExecutableDDLElement():
            return "DDL"
    verb = statement.lstrip("( \n\t")[:10].split(None, 1)
    first = verb[0].upper() if verb else ""
    return first if first in _VERBS else "DDL" if first in _DDL_VERBS else OTHER


def _table(element: Any) -> str:
    table = getattr(element, "table", None)
    if table is None and isinstance(element, Select):
        froms = element.get_final_froms()
        table = froms[0] if froms else None
    while table is not None and not isinstance(getattr(table, "name", None), str):
        table = getattr(table, "left", None)
    name = getattr(table, "name", None)
    return str(name) if isinstance(name, str) and name else OTHER
