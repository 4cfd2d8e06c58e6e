"""HTTP metrics of the guide, section "HTTP Metrics"; how they are measured is in ``domains/http.py``."""

from __future__ import annotations

from typing import TypedDict

from telemetry.catalogue._labels import Endpoint, Method, StatusCode
from telemetry.catalogue._spec import CounterSpec, HistogramSpec, LevelSpec


class EndpointLabels(TypedDict):
    """Which route, by which method."""

    method: Method
    endpoint: Endpoint


class ResponseLabels(EndpointLabels):
    """Which route answered with what."""

    status_code: StatusCode


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
