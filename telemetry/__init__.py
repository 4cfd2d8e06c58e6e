"""The public API: configure telemetry, instrument libraries, reach the recorders; everything else is internal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from telemetry.extras import needed
from telemetry.instrumentation.handle import Instrumentation
from telemetry.instrumentation.llm.decorator import llm_call
from telemetry.own import counter, fact, histogram, level
from telemetry.process import get
from telemetry.settings.problems import SettingsError
from telemetry.settings.settings import Settings
from telemetry.setup import Telemetry, configure, shutdown

if TYPE_CHECKING:
    __version__: str
    from celery import Celery
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine
    from starlette.types import ASGIApp

__all__ = [
    "Instrumentation",
    "Settings",
    "SettingsError",
    "Telemetry",
    "__version__",
    "configure",
    "counter",
    "fact",
    "get",
    "histogram",
    "instrument",
    "instrument_celery",
    "instrument_sqlalchemy",
    "level",
    "llm_call",
    "prometheus_asgi_app",
    "prometheus_wsgi_app",
    "shutdown",
]


if not TYPE_CHECKING:  # a type checker would take every name for one of the package

    def __getattr__(name: str) -> str:
        """``__version__``, read when it is asked for."""
        if name == "__version__":
            from telemetry.version import own_version

            return own_version()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def instrument(app: ASGIApp, *, excluded: str | Iterable[str] = ()) -> Instrumentation:
    """Measure every HTTP request and WebSocket of a FastAPI or Starlette application.

    At any time, before or after ``configure()``, whatever traces the application; the log says that it is measured.

    Args:
        app: The application, or a router; applications mounted into it are measured with it.
        excluded: What is not counted, beside ``TELEMETRY_EXCLUDED_PATHS`` and in its syntax: paths (``/health``), route
            templates (``/items/{item}``), regular expressions (``^/internal/``), methods (``OPTIONS``), and a method
            with one of these (``GET /metrics``); as one text with commas, or one by one.

    Returns:
        What ends the measurement by ``close()``, or with a ``with`` block. A second call returns the same.

    Raises:
        ValueError: If an entry of ``excluded`` is wrong, naming it and the remedy.
        TypeError: If ``app`` is a function, or no application; the remedy is named.
        ImportError: Without Starlette, with the command that installs it.
    """
    with needed("fastapi", "telemetry.instrument()"):
        from telemetry.instrumentation.fastapi.application import instrument_app

    return instrument_app(app, excluded)


def instrument_celery(app: Celery) -> Instrumentation:
    """Measure the tasks, queues and workers of a Celery application, in publishers and in workers.

    Before or after ``configure()``; any kind of worker, those of tests included.

    Args:
        app: The application or a proxy of it, before its worker is made.

    Returns:
        What ends the measurement by ``close()``, or with a ``with`` block. A second call returns the same.

    Raises:
        ImportError: Without Celery, with the command that installs it.
    """
    with needed("celery", "telemetry.instrument_celery()"):
        from telemetry.instrumentation.celery.application import instrument_celery as instrument_app

    return instrument_app(app)


def instrument_sqlalchemy(engine: Engine | AsyncEngine, pool: str = "main") -> Instrumentation:
    """Measure the queries and the connection pool of a SQLAlchemy engine, from before or after ``configure()``.

    Args:
        engine: A sync or async engine.
        pool: The ``pool`` label, where a process has several engines.

    Returns:
        What ends the measurement by ``close()``, or with a ``with`` block. A second call returns the same.

    Raises:
        ImportError: Without SQLAlchemy, with the command that installs it.
    """
    with needed("sqlalchemy", "telemetry.instrument_sqlalchemy()"):
        from telemetry.instrumentation.sqlalchemy.engine import instrument_sqlalchemy as instrument_engine

    return instrument_engine(engine, lambda: get().database, pool)


def prometheus_asgi_app() -> Callable[..., Any]:
    """The endpoint of ``OTEL_METRICS_EXPORTER=prometheus`` as an ASGI application, to mount into one's own.

    Whichever process answers shows the totals of every process that shares ``TELEMETRY_STATE_DIR``, living and dead.
    """
    with needed("prometheus", "telemetry.prometheus_asgi_app()"):
        from telemetry.pipeline.prometheus import asgi_app

    return asgi_app(_endpoint)


def prometheus_wsgi_app() -> Callable[..., Sequence[bytes]]:
    """The same as a WSGI application."""
    with needed("prometheus", "telemetry.prometheus_wsgi_app()"):
        from telemetry.pipeline.prometheus import wsgi_app

    return wsgi_app(_endpoint)


def _endpoint() -> Any:
    get().start()
    return get().pipeline.endpoint()
