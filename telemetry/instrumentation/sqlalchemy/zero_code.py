"""Measures every SQLAlchemy engine of a program, sync and async, without a line of code in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from telemetry.instrumentation.constructor import ConstructorHook
from telemetry.instrumentation.instrumentor import Closable, LibraryInstrumentor
from telemetry.process import get

_POOL = "main"


def _measure(engine: Any) -> None:
    from telemetry.instrumentation.sqlalchemy.engine import instrument_sqlalchemy

    name = getattr(engine.pool, "logging_name", None)  # ``create_engine(pool_logging_name=…)``
    instrument_sqlalchemy(engine, lambda: get().database, str(name or _POOL), found=True)


class ZeroCodeSQLAlchemy(LibraryInstrumentor):
    """An async engine is made around a sync one, and an engine with other options of one that is measured."""

    library = "sqlalchemy"
    versions = ">= 2.0"

    def hooks(self) -> Mapping[str, Callable[[Any], Closable]]:
        """Its one class of engines that own a pool."""
        return {
            "sqlalchemy.engine.base": lambda module: ConstructorHook(module.Engine, _measure, "measuring an engine")
        }
