"""Times statements where the dialect hands them to the driver, or by the engine's events where it does not.

Events tell the same, but one listener makes SQLAlchemy dispatch all its events for every query, which costs five times
as much as the measurement.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter
from typing import Any

from sqlalchemy import Dialect, Engine, event

from telemetry import guard
from telemetry.domains.database import DatabaseRecorder
from telemetry.instrumentation.handle import ABSENT, put_back
from telemetry.instrumentation.sqlalchemy.assumptions import TO_THE_DRIVER
from telemetry.instrumentation.sqlalchemy.statement import Named, operation_and_table

_BEGAN = "_telemetry_began"


class DialectTiming:
    """Times what passes a dialect.

    Args:
        dialect: Its ways to the driver are replaced until ``close()``.
        recorder: Gives the recorder of the calling process.
    """

    def __init__(self, dialect: Dialect, recorder: Callable[[], DatabaseRecorder]) -> None:
        self._recorder = recorder
        self._dialect = dialect
        self._closed = False
        self._before = {name: vars(dialect).get(name, ABSENT) for name in TO_THE_DRIVER}
        self._ours = {name: self._timed(getattr(dialect, name)) for name in TO_THE_DRIVER}
        for name, timed in self._ours.items():
            setattr(dialect, name, timed)

    def close(self) -> None:
        """Put back what nobody else has replaced since; what somebody has, times nothing any more."""
        self._closed = True
        for name, before in self._before.items():
            put_back(self._dialect, name, self._ours[name], before)

    def _timed(self, execute: Callable[..., None]) -> Callable[..., None]:
        """A dialect's way to the driver, timed from the call to its return, successful or not."""
        recorder = self._recorder

        @functools.wraps(execute)
        def timed(cursor: Any, statement: str, *rest: Any, **named: Any) -> None:
            began = perf_counter()
            try:
                execute(cursor, statement, *rest, **named)
            finally:
                seconds = perf_counter() - began
                query = (
                    None if self._closed else _query(statement, named["context"] if "context" in named else rest[-1])
                )
                if query is not None:
                    recorder().query_executed(*query, seconds)

        return timed


class EventTiming:
    """Times what an engine tells by its events.

    Args:
        engine: Is listened to until ``close()``.
        recorder: Gives the recorder of the calling process.
    """

    def __init__(self, engine: Engine, recorder: Callable[[], DatabaseRecorder]) -> None:
        self._engine = engine
        self._recorder = recorder
        self._listeners: dict[str, Callable[..., None]] = {
            "before_cursor_execute": self._began,
            "after_cursor_execute": self._ended,
            "handle_error": self._failed,
        }
        for name, listener in self._listeners.items():
            event.listen(engine, name, listener)

    def close(self) -> None:
        """Listen no more."""
        for name, listener in self._listeners.items():
            event.remove(self._engine, name, listener)

    def _began(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if context is not None:
            setattr(context, _BEGAN, perf_counter())

    def _ended(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        began = getattr(context, _BEGAN, None)
        if began is not None:
            delattr(context, _BEGAN)
            seconds = perf_counter() - began
            query = _query(statement, context)
            if query is not None:
                self._recorder().query_executed(*query, seconds)

    def _failed(self, failure: Any) -> None:
        if failure.execution_context is not None:
            self._ended(failure.connection, None, failure.statement or "", None, failure.execution_context, many=False)


def _query(statement: str, context: Any) -> Named | None:
    """Operation and table of a statement that the application asked for; ``None`` for others."""
    try:
        return None if _is_first_look(context) else operation_and_table(statement, context)
    except Exception as error:
        guard.swallow(error, "naming a query")
        return None


def _is_first_look(context: Any) -> bool:
    """Whether SQLAlchemy asks the server for its version and settings, which no application asked for."""
    return context is not None and context.root_connection.__dict__.get("_allow_autobegin") is False
