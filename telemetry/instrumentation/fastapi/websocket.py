"""Follows one WebSocket connection from its handshake to its end; its route comes from ``route.py``."""

from __future__ import annotations

from time import perf_counter

from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from telemetry import guard
from telemetry.domains.http import UNMATCHED
from telemetry.domains.http_websocket import NORMAL_CLOSURE
from telemetry.instrumentation.fastapi.matching import route_it_would_take
from telemetry.instrumentation.fastapi.observed import ObservedScope, only_error

_CONNECTION_LOST = 1006
_HANDLER_FAILED = 1011


class ObservedWebSocket(ObservedScope):
    """What happened to one connection."""

    _accepted = False
    _close_code: int | None = None

    def selected(self, endpoint: str) -> None:
        """The connection reached the route with this full template, which may be one that is not counted."""
        self._left_out = self._is_left_out(endpoint)

    async def receive(self) -> Message:
        """Pass a message from the client on, noticing that it closed the connection."""
        message = await self._receive()
        if not self._left_out:
            try:
                self._came(message)
            except Exception as error:
                guard.swallow(error, "following a WebSocket")
        return message

    def _came(self, message: Message) -> None:
        if message["type"] == "websocket.receive":
            self._recorder.websockets.message_received(self._counted_endpoint())
        elif message["type"] == "websocket.disconnect" and self._close_code is None:
            self._close_code = message.get("code", NORMAL_CLOSURE)

    async def send(self, message: Message) -> None:
        """Pass a message to the client on, noticing the acceptance and the closure."""
        await self._send(message)
        if not self._left_out:
            try:
                self._went(message)
            except Exception as error:
                guard.swallow(error, "following a WebSocket")

    def _went(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            self._recorder.websockets.message_sent(self._counted_endpoint())
        elif kind == "websocket.accept" and not self._accepted:
            self._accepted = True
            self._accepted_endpoint = self._counted_endpoint()
            self._recorder.websockets.opened(self._accepted_endpoint)
        elif kind == "websocket.close" and self._close_code is None:
            self._close_code = message.get("code", NORMAL_CLOSURE)

    def returned(self) -> None:
        """The application is done; where nobody closed the connection, the server drops it."""
        self._finish(_CONNECTION_LOST)

    def raised(self, error: BaseException) -> None:
        """The application raised: the client is gone, or a handler failed."""
        error = only_error(error)
        gone = isinstance(error, OSError | WebSocketDisconnect) or not isinstance(error, Exception)
        if not gone and not self._left_out:
            self._recorder.failed(error)
        self._finish(_CONNECTION_LOST if gone else _HANDLER_FAILED)

    def _finish(self, close_code: int) -> None:
        if self._left_out:
            return
        try:
            if self._accepted:
                seconds = perf_counter() - self._began
                code = close_code if self._close_code is None else self._close_code
                self._recorder.websockets.closed(self._accepted_endpoint, code, seconds)
            else:
                self._refused(self._endpoint or self._refused_endpoint())
        except Exception as error:
            guard.swallow(error, "counting a WebSocket connection")

    def _refused(self, endpoint: str) -> None:
        if not self._is_left_out(endpoint):
            self._recorder.websockets.rejected(endpoint)

    def _refused_endpoint(self) -> str:
        with guard.guarded("finding the route of a WebSocket that was not routed"):
            return route_it_would_take(self._app, self._scope) or UNMATCHED
        return UNMATCHED

    def _counted_endpoint(self) -> str:
        return self._endpoint or UNMATCHED
