"""Follows one HTTP request from its first to its last byte; which route it took comes from ``route.py``."""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter

from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from telemetry import guard
from telemetry.domains.http import CLIENT_CLOSED_REQUEST, UNMATCHED, HttpRecorder, RouteSeries
from telemetry.instrumentation.fastapi.mounts import route_it_would_take
from telemetry.instrumentation.fastapi.route import RouteListener

_NOT_FOUND = 404


class ObservedRequest(RouteListener):
    """What happened to one request."""

    _series: RouteSeries | None = None
    _status: int | None = None
    _trailers = False
    _disconnected = False
    _finished = False
    _first_byte: float | None = None

    def __init__(self, recorder: HttpRecorder, scope: Scope, receive: Receive, send: Send, app: FastAPI) -> None:
        self._began = perf_counter()
        self._app = app
        self._recorder = recorder
        self._receive = receive
        self._send = send
        self._method: str = scope["method"]
        self.listen(scope)

    def selected(self, endpoint: str) -> None:
        """The request is in progress at this endpoint, and no longer at one it passed on the way."""
        if self._series is not None:
            self._series.ended()
        self._series = self._recorder.route(self._method, endpoint)
        self._series.started()

    async def receive(self) -> Message:
        """Pass a message from the client on, noticing that it left."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._finished:
            self._disconnected = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the client on, noticing the status, the first and the last byte."""
        kind = message["type"]
        if kind == "http.response.body":
            if not self._trailers and not message.get("more_body", False):
                return self._send_last(message)
            return self._send_piece(message)
        if kind == "http.response.start":
            self._status = message["status"]
            self._trailers = message.get("trailers", False)
        elif kind == "http.response.pathsend" or (
            kind == "http.response.trailers" and not message.get("more_trailers", False)
        ):
            return self._send_last(message)
        return self._send(message)

    async def _send_piece(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self._disconnected = True
            raise
        if self._first_byte is None and message.get("body"):
            self._first_byte = perf_counter() - self._began

    async def _send_last(self, message: Message) -> None:
        gone = self._disconnected or _has_left(self._receive)
        try:
            await self._send(message)
        except OSError:
            self._disconnected = True
            raise
        self._finish(CLIENT_CLOSED_REQUEST if gone else self._status or 500)

    def returned(self) -> None:
        """The application is done; without a last byte the client was gone or the response is broken."""
        if not self._finished:
            self._finish(CLIENT_CLOSED_REQUEST if self._disconnected or self._status is None else self._status)

    def raised(self, error: BaseException) -> None:
        """The application raised: the client is gone, or a handler failed.

        Sending to a client that is gone raises ``OSError``, which handlers may do for reasons of their own.
        """
        cancelled = not isinstance(error, Exception) or isinstance(error, ClientDisconnect)
        gone = cancelled or self._disconnected or _has_left(self._receive)
        if isinstance(error, Exception) and not (gone and not self._finished):
            self._recorder.failed(error)
        self._finish(CLIENT_CLOSED_REQUEST if gone else 500)

    def _finish(self, status_code: int) -> None:
        if self._finished:
            return
        self._finished = True
        seconds = perf_counter() - self._began
        try:
            series = self._series
            if series is None:
                series = self._recorder.route(self._method, self._without_route())
            else:
                series.ended()
            series.answered(status_code, seconds, seconds if self._first_byte is None else self._first_byte)
        except Exception as error:
            guard.swallow(error, "counting an HTTP request")

    def _without_route(self) -> str:
        """Nothing matched, or a middleware answered before the request was routed."""
        if self._status == _NOT_FOUND:
            return UNMATCHED
        with guard.guarded("finding the route of a request that was not routed"):
            return route_it_would_take(self._app, self._scope) or self._open_mount or UNMATCHED
        return UNMATCHED


def _has_left(receive: Receive) -> bool:
    """Whether the server knows that the client is gone: uvicorn does, and swallows what is sent to nobody."""
    return getattr(getattr(receive, "__self__", None), "disconnected", False) is True
