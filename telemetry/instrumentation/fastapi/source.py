"""Chooses where a FastAPI application's HTTP metrics come from: the cheapest complete source, and says which."""

from __future__ import annotations

import logging
from importlib.metadata import version

from fastapi import FastAPI

from telemetry.process import get

_logger = logging.getLogger("telemetry")


def instrument_app(app: FastAPI) -> None:
    """Measure an application by the first source that works with the installed versions.

    1. Our hooks on FastAPI's own route selection: complete, and a quarter of the cost of the next best.
    2. ``FastAPIInstrumentor``, through the bridge: without the routes inside mounts, clients that left, requests in
       progress by route, and WebSockets.

    Where the first is used, what other sources say about HTTP is dropped, so nothing counts twice.
    """
    try:
        from telemetry.instrumentation.fastapi.application import instrument_fastapi
    except ImportError as error:
        _use_instrumentor(app, error)
        return
    get().own_sources.add("http")
    instrument_fastapi(app, lambda: get().http, get().settings.excluded_paths)
    _logger.info(
        "telemetry: http metrics of %r come from our own hooks on FastAPI %s; other sources of them are left out",
        app.title,
        version("fastapi"),
    )


def _use_instrumentor(app: FastAPI, reason: ImportError) -> None:
    try:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    except ImportError:
        _logger.error(  # noqa: TRY400 - a sentence, not a stack trace
            "telemetry: no http metrics of %r: FastAPI %s does not tell its routes (%s): install fastapi>=0.160, or "
            "opentelemetry-instrumentation-fastapi",
            app.title,
            version("fastapi"),
            reason,
        )
        return
    FastAPIInstrumentor.instrument_app(app, meter_provider=get().meter_provider)
    _logger.warning(
        "telemetry: http metrics of %r come from FastAPIInstrumentor, for FastAPI %s does not tell its routes (%s): "
        "routes inside mounts, clients that left, requests in progress and WebSockets are missing",
        app.title,
        version("fastapi"),
        reason,
    )
