"""The service that ``backpressure.py`` and ``recovery.py`` load: it exports, and reads its broker's queues."""

from __future__ import annotations

import os

from celery import Celery
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

import telemetry
from benchmarks.http_apps import bare

SERVED_PATH = "/served"


class Counted:
    """An application whose requests are counted without telemetry, by a number that `SERVED_PATH` says.

    Args:
        app: It is not asked for that path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and count what is over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == SERVED_PATH:
            await PlainTextResponse(str(self._served))(scope, receive, send)
        else:
            try:
                await self._app(scope, receive, send)
            finally:
                self._served += 1


def served() -> Counted:
    """For uvicorn."""
    telemetry.configure(service_name="service")
    app = bare(int(os.environ["BENCHMARK_ROUTES"]))
    telemetry.instrument(app)
    telemetry.instrument_celery(Celery("service", broker=os.environ["CELERY_BROKER_URL"]))
    return Counted(app)
