"""The public API: configure telemetry, instrument libraries, reach the recorders; everything else is internal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from telemetry.instrumentation.llm.decorator import llm_call
from telemetry.pipeline.settings import Settings, SettingsError
from telemetry.process import get
from telemetry.setup import Telemetry, configure, shutdown

if TYPE_CHECKING:
    from celery import Celery
    from fastapi import FastAPI
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "Settings",
    "SettingsError",
    "Telemetry",
    "configure",
    "get",
    "instrument",
    "instrument_celery",
    "instrument_sqlalchemy",
    "llm_call",
    "prometheus_asgi_app",
    "prometheus_wsgi_app",
    "shutdown",
]


def instrument(app: FastAPI) -> None:
    """Measure every HTTP request and WebSocket of a FastAPI application; call it before the first request.

    The log says which source was chosen.

    Args:
        app: The application; applications mounted into it are measured with it.
    """
    from telemetry.instrumentation.fastapi.source import instrument_app

    instrument_app(app)


def instrument_celery(app: Celery) -> None:
    """Measure the tasks, queues and workers of a Celery application, in publishers and in workers.

    Args:
        app: The application, before its worker starts.
    """
    from telemetry.instrumentation.celery.application import instrument_celery as instrument_app

    instrument_app(app)


def instrument_sqlalchemy(engine: Engine | AsyncEngine, pool: str = "main") -> None:
    """Measure the queries and the connection pool of a SQLAlchemy engine.

    Args:
        engine: A sync or async engine.
        pool: The ``pool`` label, where a process has several engines.
    """
    from telemetry.instrumentation.sqlalchemy.engine import instrument_sqlalchemy as instrument_engine

    get().own_sources.add("database")
    instrument_engine(engine, lambda: get().database, pool)


def prometheus_asgi_app() -> Callable[..., Any]:
    """The endpoint of ``OTEL_METRICS_EXPORTER=prometheus`` as an ASGI application, to mount into one's own.

    Whichever process answers shows the totals of every process that shares ``TELEMETRY_STATE_DIR``, living and dead.
    """
    from telemetry.pipeline.prometheus import asgi_app

    return asgi_app(_endpoint)


def prometheus_wsgi_app() -> Callable[..., Sequence[bytes]]:
    """The same as a WSGI application."""
    from telemetry.pipeline.prometheus import wsgi_app

    return wsgi_app(_endpoint)


def _endpoint() -> Any:
    get().start()
    return get().pipeline.endpoint()
