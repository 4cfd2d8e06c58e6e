"""Observes the requests of a FastAPI application from outside its middleware; ``domains/http.py`` counts them.

FastAPI tells which route it selected through the object in ``scope["fastapi.telemetry"]``, router prefixes and
mounts included; listening there costs nothing per route, where matching the routes again costs a match of each.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.telemetry._api import _RequestTelemetry
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry import guard
from telemetry.domains.http import CLIENT_CLOSED_REQUEST, UNMATCHED, HttpRecorder
from telemetry.instrumentation._lifespan import delivering

SCOPE_KEY = "fastapi.telemetry"
_OBSERVED = "telemetry.observed"
_instrumented: weakref.WeakSet[FastAPI] = weakref.WeakSet()
_MOUNT_SUFFIX = "/{path}"
_INHERITED = tuple(field.name for field in fields(_RequestTelemetry))


def instrument_fastapi(
    app: FastAPI, recorder: Callable[[], HttpRecorder], excluded_paths: frozenset[str] = frozenset()
) -> None:
    """Observe every HTTP request of ``app``; call it before the first request. A second call does nothing.

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
        """Serve one request, lifespan or WebSocket; requests are observed, the end is waited for."""
        if scope["type"] == "lifespan":
            send = delivering(send)
        if scope["type"] != "http" or _OBSERVED in scope or scope["path"] in self._excluded:
            await self.app(scope, receive, send)
            return
        scope[_OBSERVED] = True
        observed = ObservedRequest(self._recorder(), scope, receive, send, self._fastapi)
        try:
            await self.app(scope, observed.receive, observed.send)
        except BaseException as error:
            observed.raised(error)
            raise
        observed.returned()


class ObservedRequest:
    """What happened to one request."""

    def __init__(self, recorder: HttpRecorder, scope: Scope, receive: Receive, send: Send, app: FastAPI) -> None:
        self._recorder = recorder
        self._scope = scope
        self._receive = receive
        self._send = send
        self._app = app
        self._method: str = scope["method"]
        self._status: int | None = None
        self._trailers = False
        self._disconnected = False
        self._finished = False
        self._endpoint: str | None = None
        self._began = time.perf_counter()
        scope[SCOPE_KEY] = _RouteListener(scope.get(SCOPE_KEY), self._route_selected)

    async def receive(self) -> Message:
        """Pass a message from the client on, noticing that it left."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._finished:
            self._disconnected = True
        return message

    async def send(self, message: Message) -> None:
        """Pass a message to the client on, noticing the status and the last byte."""
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
            self._trailers = message.get("trailers", False)
        await self._send(message)
        if _is_last(message, self._trailers):
            self._finish(self._status or 500)

    def returned(self) -> None:
        """The application is done; without a last byte the client was gone or the response is broken."""
        self._finish(CLIENT_CLOSED_REQUEST if self._disconnected or self._status is None else self._status)

    def raised(self, error: BaseException) -> None:
        """The application raised: the client is gone, or a handler failed."""
        gone = self._disconnected or isinstance(error, OSError) or not isinstance(error, Exception)
        if isinstance(error, Exception) and not (gone and not self._finished):
            self._recorder.failed(error)
        self._finish(CLIENT_CLOSED_REQUEST if gone else 500)

    def _route_selected(self, route: str | None) -> None:
        if route is None or route == self._endpoint:
            return
        if self._endpoint is not None:
            self._recorder.ended(self._method, self._endpoint)
        self._endpoint = route
        self._recorder.started(self._method, route)

    def _finish(self, status_code: int) -> None:
        if self._finished:
            return
        self._finished = True
        with guard.guarded("counting an HTTP request"):
            if self._endpoint is not None:
                self._recorder.ended(self._method, self._endpoint)
            seconds = time.perf_counter() - self._began
            self._recorder.answered(self._method, self._counted_endpoint(), status_code, seconds)

    def _counted_endpoint(self) -> str:
        if self._endpoint is None:
            return UNMATCHED
        inner = self._scope.get("app")
        nothing_matched_inside = inner is not self._app and isinstance(inner, Starlette)
        if self._endpoint.endswith(_MOUNT_SUFFIX) and nothing_matched_inside and self._status in (404, None):
            return UNMATCHED
        return self._endpoint


def _is_last(message: Message, trailers: bool) -> bool:
    kind = message["type"]
    if kind == "http.response.body":
        return not message.get("more_body", False) and not trailers
    if kind == "http.response.trailers":
        return not message.get("more_trailers", False)
    return bool(kind == "http.response.pathsend")


class _RouteListener(_RequestTelemetry):
    """Stands in for FastAPI's own record of a request and passes the selected route on.

    Where FastAPI's native telemetry runs as well, its record keeps being filled.
    """

    def __init__(self, native: Any, on_route: Callable[[str | None], None]) -> None:
        self._native = native if isinstance(native, _RequestTelemetry) else None
        self._on_route = on_route
        super().__init__(span=None, span_method="", data=None)
        if self._native is not None:
            for name in _INHERITED:
                setattr(self, name, getattr(self._native, name))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "route" and value is not None:
            with guard.guarded("noting the route of a request"):
                self._on_route(value)
        if name in ("route", "status_code") and getattr(self, "_native", None) is not None:
            setattr(self._native, name, value)
