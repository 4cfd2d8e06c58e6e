"""Observes a FastAPI application from outside its middleware; ``domains/http.py`` counts what happens.

What one request or connection does is followed in ``request.py`` and ``websocket.py``.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from telemetry import guard
from telemetry.domains.http import UNMATCHED, HttpRecorder
from telemetry.instrumentation.fastapi.lifespan import delivering
from telemetry.instrumentation.fastapi.request import ObservedRequest
from telemetry.instrumentation.fastapi.websocket import ObservedWebSocket

_OBSERVED = "telemetry.observed"
_OBSERVED_AS: Mapping[str, type[ObservedRequest | ObservedWebSocket]] = {
    "http": ObservedRequest,
    "websocket": ObservedWebSocket,
}
_instrumented: weakref.WeakSet[FastAPI] = weakref.WeakSet()


def instrument_fastapi(
    app: FastAPI, recorder: Callable[[], HttpRecorder], excluded_paths: frozenset[str] = frozenset()
) -> None:
    """Observe the requests and WebSockets of ``app``; call it before the first one. A second call does nothing.

    Args:
        app: The application; mounted ones are observed with it.
        recorder: Gives the recorder of the calling process.
        excluded_paths: Exact URL paths that are not counted.
    """
    if app in _instrumented:
        return
    _instrumented.add(app)
    build = app.build_middleware_stack

    @functools.wraps(build)
    def build_observed() -> ASGIApp:
        with guard.guarded("declaring the routes of the application"):
            _declare_routes(app, recorder())
        return ObservedApplication(build(), app, recorder, excluded_paths)

    app.build_middleware_stack = build_observed  # type: ignore[method-assign]


def _declare_routes(app: FastAPI, recorder: HttpRecorder) -> None:
    for context in iter_route_contexts(app.routes):
        if isinstance(context.route, WebSocketRoute) and context.path_format:
            recorder.websockets.declare(context.path_format)
        status_code = getattr(context.route, "status_code", None) or 200
        for method in (context.methods or set()) - {"HEAD", "OPTIONS"}:
            endpoint = context.path_format or UNMATCHED
            recorder.declare(method, endpoint, status_code)
            # So that an error rate is 0 before the first error, not absent.
            recorder.declare(method, endpoint, 500)


class ObservedApplication:
    """The application's whole middleware stack, with each request observed from its first to its last byte."""

    def __init__(
        self, stack: ASGIApp, app: FastAPI, recorder: Callable[[], HttpRecorder], excluded_paths: frozenset[str]
    ) -> None:
        self.app = stack
        self._fastapi = app
        self._recorder = recorder
        self._excluded = excluded_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, WebSocket or lifespan; the first two are observed, the end is waited for."""
        if scope["type"] == "lifespan":
            send = delivering(send)
        kind = _OBSERVED_AS.get(scope["type"])
        if kind is None or _OBSERVED in scope or scope["path"] in self._excluded:
            await self.app(scope, receive, send)
            return
        scope[_OBSERVED] = True
        observed = kind(self._recorder(), scope, receive, send, self._fastapi)
        try:
            await self.app(scope, observed.receive, observed.send)
        except BaseException as error:
            observed.raised(error)
            raise
        else:
            observed.returned()
        finally:
            observed.release()
