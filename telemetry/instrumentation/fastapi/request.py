"""Follows one HTTP request from its first to its last byte; which route it took comes from ``route.py``."""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from telemetry import guard
from telemetry.domains.http import CLIENT_CLOSED_REQUEST, UNMATCHED, RouteSeries
from telemetry.instrumentation.fastapi.matching import route_it_would_take
from telemetry.instrumentation.fastapi.observed import ObservedScope, only_error

_NOT_FOUND = 404
_MOST_DIGITS = 18  # of a size that 64 bits hold
_NO_RESPONSE = 500  # what servers send for an application that sent nothing


class ObservedRequest(ObservedScope):
    """What happened to one request."""

    _series: RouteSeries | None = None
    _start: Message = {}  # noqa: RUF012 - only read
    _status: int | None = None
    _trailers = False
    _disconnected = False
    _complete = False
    _finished = False
    _first_byte: float | None = None
    _received = 0
    _sent = 0

    def selected(self, endpoint: str) -> None:
        """The request is in progress at this endpoint, and no longer at one it passed on the way."""
        if self._series is not None:
            self._series.ended()
            self._series = None
        if self._exclusions.has_templates:
            self._left_out = self._is_left_out(endpoint)
            if self._left_out:
                return
        self._series = self._recorder.route(self._method, endpoint)
        self._series.started()

    async def receive(self) -> Message:
        """Pass a message from the client on, noticing its size and that the client left."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body") or b"")
        elif message["type"] == "http.disconnect" and not self._finished:
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
            self._start = message
            self._status = message.get("status")
            if message.get("trailers"):
                self._trailers = True
        elif kind == "http.response.pathsend":
            self._sent = _content_length(self._start.get("headers", ()))
            return self._send_last(message)
        elif kind == "http.response.trailers" and not message.get("more_trailers", False):
            return self._send_last(message)
        return self._send(message)

    async def _send_piece(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self._disconnected = True
            raise
        body = message.get("body")
        if body:
            self._sent += len(body)
            if self._first_byte is None:
                self._first_byte = perf_counter() - self._began

    async def _send_last(self, message: Message) -> None:  # no frame more than this for most responses
        gone = self._disconnected or _has_left(self._receive)
        try:
            await self._send(message)
        except OSError:
            self._disconnected = True
            raise
        self._sent += len(message.get("body") or b"")
        self._complete = True
        self._finish(CLIENT_CLOSED_REQUEST if gone else self._status or _NO_RESPONSE)

    def returned(self) -> None:
        """The application is done; without a last byte the client was gone or the response is broken."""
        if not self._finished:
            gone = self._disconnected or (self._status is None and _has_left(self._receive))
            self._finish(CLIENT_CLOSED_REQUEST if gone else self._status or _NO_RESPONSE)

    def raised(self, error: BaseException) -> None:
        """The application raised: the client is gone, or a handler failed.

        Sending to a client that is gone raises ``OSError``, which handlers may do for reasons of their own.
        """
        error = only_error(error)
        cancelled = not isinstance(error, Exception) or isinstance(error, ClientDisconnect)
        gone = cancelled or self._disconnected or _has_left(self._receive)
        if isinstance(error, Exception) and not (gone and not self._finished) and not self._left_out:
            self._recorder.failed(error)
        self._finish(CLIENT_CLOSED_REQUEST if gone else _NO_RESPONSE)

    def _finish(self, status_code: int) -> None:
        if self._finished:
            return
        self._finished = True
        seconds = perf_counter() - self._began
        try:
            series = self._series
            if series is not None:
                series.ended()
            elif (series := self._without_route()) is None:
                return
            first_byte = seconds if self._complete and self._first_byte is None else self._first_byte
            series.answered(status_code, seconds, first_byte, self._received, self._sent)
        except Exception as error:
            guard.swallow(error, "counting an HTTP request")

    def _without_route(self) -> RouteSeries | None:
        """The series of a request no router told of; ``None`` where its route is left out."""
        endpoint = self._endpoint or self._unrouted_endpoint()
        self._left_out = self._is_left_out(endpoint)
        return None if self._left_out else self._recorder.route(self._method, endpoint)

    def _unrouted_endpoint(self) -> str:
        """Nothing matched, or a middleware answered before the request was routed."""
        if self._status == _NOT_FOUND:
            return UNMATCHED
        with guard.guarded("finding the route of a request that was not routed"):
            return route_it_would_take(self._app, self._scope) or self._open_mount or UNMATCHED
        return UNMATCHED


def _has_left(receive: Receive) -> bool:
    """Whether the server knows that the client is gone: uvicorn does, and swallows what is sent to nobody."""
    return getattr(getattr(receive, "__self__", None), "disconnected", False) is True


def _content_length(headers: Any) -> int:
    """What a response says of its size, where the server reads its body from a file; 0 where that cannot be read."""
    try:
        said = next((value for name, value in headers if name.lower() == b"content-length"), None)
    except (AttributeError, TypeError, ValueError):  # headers that no server has to take
        return 0
    if not isinstance(said, bytes | bytearray) or len(said) > _MOST_DIGITS or not said.isdigit():
        return 0
    return int(said)
