"""Records WebSocket connections; declared in ``catalogue/http.py``, hooked in ``instrumentation/fastapi/``."""

from __future__ import annotations

from telemetry.catalogue import http as catalogue
from telemetry.metrics.catalogue_instruments import Instruments

REJECTED = "rejected"
NORMAL_CLOSURE = 1000


class WebSocketRecorder:
    """Open connections, their messages, how long they lasted and how they closed."""

    def __init__(self, instruments: Instruments) -> None:
        self._connections = instruments.counter(catalogue.WEBSOCKETS)
        self._open = instruments.level(catalogue.WEBSOCKETS_OPEN)
        self._duration = instruments.histogram(catalogue.WEBSOCKET_DURATION)
        self._messages = instruments.counter(catalogue.WEBSOCKET_MESSAGES)

    def opened(self, endpoint: str) -> None:
        """A connection was accepted.

        Args:
            endpoint: Full route template.
        """
        self._open.add(1, {"endpoint": endpoint})

    def closed(self, endpoint: str, close_code: int, seconds: float) -> None:
        """A connection that had been accepted is over.

        Args:
            endpoint: Full route template.
            close_code: As either side gave it; 1006 where the connection was lost, 1011 where the handler failed.
            seconds: Since the handshake.
        """
        self._open.add(-1, {"endpoint": endpoint})
        self._connections.add(1, {"endpoint": endpoint, "close_code": str(close_code)})
        self._duration.record(seconds, {"endpoint": endpoint})

    def rejected(self, endpoint: str) -> None:
        """A handshake was refused, or its client left before it was answered.

        Args:
            endpoint: Full route template, or ``unmatched``.
        """
        self._connections.add(1, {"endpoint": endpoint, "close_code": REJECTED})

    def message_received(self, endpoint: str) -> None:
        """A message of the client reached the application."""
        self._messages.add(1, {"endpoint": endpoint, "direction": "received"})

    def message_sent(self, endpoint: str) -> None:
        """The application sent a message."""
        self._messages.add(1, {"endpoint": endpoint, "direction": "sent"})

    def declare_endpoint(self, endpoint: str) -> None:
        """Let connections to a route of the application count under its template, however many routes there are."""
        for metric in (self._connections, self._open, self._duration, self._messages):
            metric.declare_value("endpoint", endpoint)

    def declare(self, endpoint: str) -> None:
        """Let the series of a known route exist before its first connection."""
        self._connections.declare({"endpoint": endpoint, "close_code": str(NORMAL_CLOSURE)})
        self._open.declare({"endpoint": endpoint})
        self._messages.declare({"endpoint": endpoint, "direction": "received"})
        self._messages.declare({"endpoint": endpoint, "direction": "sent"})
