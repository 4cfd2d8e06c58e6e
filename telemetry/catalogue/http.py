"""HTTP metrics of the guide, section "HTTP Metrics"; how they are measured is in ``domains/http.py``."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from telemetry.catalogue._labels import Endpoint, Method, StatusCode
from telemetry.catalogue._spec import Budget, CounterSpec, HistogramSpec, LevelSpec


class EndpointLabels(TypedDict):
    """Which route, by which method."""

    method: Method
    endpoint: Endpoint


class ResponseLabels(EndpointLabels):
    """Which route answered with what."""

    status_code: StatusCode


class WebSocketLabels(TypedDict):
    """Which WebSocket route."""

    endpoint: Endpoint


class ClosedLabels(WebSocketLabels):
    """Which WebSocket route closed with what."""

    close_code: Annotated[str, Budget(50, "close codes; `rejected` before the connection was accepted")]


class MessageLabels(WebSocketLabels):
    """Which way a message went, seen from the server."""

    direction: Literal["received", "sent"]


REQUESTS = CounterSpec(
    name="http_requests_total",
    help="HTTP requests answered, by route template and status code.",
    labels=ResponseLabels,
    unit="{request}",
)
DURATION = HistogramSpec(
    name="http_request_duration_seconds",
    help="Seconds from the first byte of a request to the last byte of its response.",
    labels=EndpointLabels,
    unit="s",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
    relied_on=(2.5,),
)
IN_PROGRESS = LevelSpec(
    name="http_requests_in_progress",
    help="HTTP requests that are being processed now.",
    labels=EndpointLabels,
    unit="{request}",
)
FIRST_BYTE = HistogramSpec(
    name="http_time_to_first_byte_seconds",
    help="Seconds from the first byte of a request to the first byte of its response's body.",
    labels=EndpointLabels,
    unit="s",
    buckets=DURATION.buckets,
    documented=False,
)
REQUEST_SIZE = HistogramSpec(
    name="http_request_size_bytes",
    help="Bytes of request bodies as the application read them; requests without a body do not count.",
    labels=EndpointLabels,
    unit="By",
    buckets=(100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8),
    documented=False,
)
RESPONSE_SIZE = HistogramSpec(
    name="http_response_size_bytes",
    help="Bytes of response bodies as they were sent, compressed where they were; those without a body do not count.",
    labels=EndpointLabels,
    unit="By",
    buckets=REQUEST_SIZE.buckets,
    documented=False,
)
WEBSOCKETS = CounterSpec(
    name="websocket_connections_total",
    help="WebSocket connections that ended, by route template and close code.",
    labels=ClosedLabels,
    unit="{connection}",
    documented=False,
)
WEBSOCKETS_OPEN = LevelSpec(
    name="websocket_connections_open",
    help="WebSocket connections that are accepted and open now.",
    labels=WebSocketLabels,
    unit="{connection}",
    documented=False,
)
WEBSOCKET_DURATION = HistogramSpec(
    name="websocket_connection_duration_seconds",
    help="Seconds from the handshake of a WebSocket connection to its end.",
    labels=WebSocketLabels,
    unit="s",
    buckets=(0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0),
    documented=False,
)
WEBSOCKET_MESSAGES = CounterSpec(
    name="websocket_messages_total",
    help="Messages over WebSocket connections, by direction as the server sees it.",
    labels=MessageLabels,
    unit="{message}",
    documented=False,
)
