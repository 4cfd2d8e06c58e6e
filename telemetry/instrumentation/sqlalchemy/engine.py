"""Measures SQLAlchemy engines: statements as they execute, pools as they stand; no SQL text leaves the process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import sqlalchemy
from sqlalchemy import Engine

from telemetry import guard
from telemetry.domains.database import DatabaseRecorder
from telemetry.instrumentation.handle import Instrumentation
from telemetry.instrumentation.sqlalchemy import assumptions
from telemetry.instrumentation.sqlalchemy.pool import ObservedPool
from telemetry.instrumentation.sqlalchemy.timing import DialectTiming, EventTiming

if TYPE_CHECKING:  # without greenlet it cannot be imported, and nobody has one
    from sqlalchemy.ext.asyncio import AsyncEngine

_logger = logging.getLogger("telemetry")

_HANDLE = "_telemetry_handle"


class _Closable(Protocol):
    def close(self) -> None: ...


def instrument_sqlalchemy(
    engine: Engine | AsyncEngine, recorder: Callable[[], DatabaseRecorder], pool: str = "main", *, found: bool = False
) -> Instrumentation:
    """Measure the queries and the pool of an engine; a second call returns the handle of the first.

    Args:
        engine: A sync or async engine.
        recorder: Gives the recorder of the calling process.
        pool: The ``pool`` label.
        found: Whether zero code asks, and not the program, whose call takes the place of that.
    """
    sync_engine = engine if isinstance(engine, Engine) else engine.sync_engine
    # An engine with other execution options shares dialect and pool with the one it came from, and may be gone earlier.
    sync_engine = getattr(sync_engine, "_proxied", sync_engine)
    known: Instrumentation | None = vars(sync_engine.dialect).get(_HANDLE)
    if known is not None and not known.gives_way(found=found):
        return known
    handle = _instrumented(sync_engine, recorder, pool, found=found)
    setattr(sync_engine.dialect, _HANDLE, handle)  # both are garbage together
    _logger.info(
        "telemetry: database metrics of pool=%s come from our own hooks on SQLAlchemy %s%s",
        pool,
        sqlalchemy.__version__,
        _traces(),
    )
    return handle


def handle_of(engine: Engine) -> Instrumentation | None:
    """The handle of an engine that is measured."""
    handle: Instrumentation | None = vars(engine.dialect).get(_HANDLE)
    return None if handle is None or handle.is_closed else handle


def _instrumented(
    engine: Engine, recorder: Callable[[], DatabaseRecorder], pool: str, *, found: bool
) -> Instrumentation:
    measured: list[_Closable] = [
        DialectTiming(engine.dialect, recorder)
        if assumptions.statements_pass_the_dialect()
        else EventTiming(engine, recorder),
        ObservedPool(engine, recorder, pool, times_checkouts=assumptions.checkouts_pass_the_pool()),
    ]

    def close() -> None:
        for part in measured:
            with guard.guarded("taking the hooks of an engine away"):
                part.close()

    return Instrumentation("database", close, found=found)


def _traces() -> str:
    """A remark where the auto-instrumentor is loaded and refuses this version of SQLAlchemy.

    Loading it for the remark would take 8 MiB in every process.
    """
    if "opentelemetry.instrumentation.sqlalchemy" not in sys.modules:
        return ""
    with guard.guarded("comparing the version of SQLAlchemy with what its instrumentor takes"):
        try:
            from opentelemetry.instrumentation.dependencies import get_dependency_conflicts
            from opentelemetry.instrumentation.sqlalchemy.package import _instruments
        except ImportError:
            return ""
        if get_dependency_conflicts(_instruments) is not None:
            return f"; its auto-instrumentor wants {_instruments[0]!r} and makes no traces here, metrics are complete"
    return ""
