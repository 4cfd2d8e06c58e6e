"""Records HTTP requests; declared in ``catalogue/http.py``, hooked in ``instrumentation/fastapi/``."""

from __future__ import annotations

from typing import cast, get_args

from telemetry import guard
from telemetry.catalogue import http as catalogue
from telemetry.catalogue._labels import Method
from telemetry.catalogue.http import EndpointLabels, ResponseLabels
from telemetry.domains.errors import ErrorsRecorder
from telemetry.domains.http_websocket import WebSocketRecorder
from telemetry.metrics.catalogue_instruments import Instruments
from telemetry.metrics.series import CounterSeries, HistogramSeries, LevelSeries

UNMATCHED = "unmatched"
OTHER_METHOD = "_OTHER"
CLIENT_CLOSED_REQUEST = 499

_KNOWN_METHODS = frozenset(get_args(Method))


def known(method: str) -> Method:
    """The method as a label value: itself, or ``_OTHER`` for one HTTP does not define."""
    return cast("Method", method if method in _KNOWN_METHODS else OTHER_METHOD)


class HttpRecorder:
    """Requests in progress, answered requests, their status and duration."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder) -> None:
        self.requests = instruments.counter(catalogue.REQUESTS)
        self.duration = instruments.histogram(catalogue.DURATION)
        self.first_byte = instruments.histogram(catalogue.FIRST_BYTE)
        self.in_progress = instruments.level(catalogue.IN_PROGRESS)
        self.request_size = instruments.histogram(catalogue.REQUEST_SIZE)
        self.response_size = instruments.histogram(catalogue.RESPONSE_SIZE)
        self.websockets = WebSocketRecorder(instruments)
        self._errors = errors
        self._routes: dict[tuple[str, str], RouteSeries] = {}

    def route(self, method: str, endpoint: str) -> RouteSeries:
        """The series of a route, looked up once; hold on to them for one request only.

        Args:
            method: As sent; unknown ones count as ``_OTHER``.
            endpoint: Full route template, or ``unmatched``.
        """
        series = self._routes.get((method, endpoint))
        if series is None:
            series = RouteSeries(self, {"method": known(method), "endpoint": endpoint})
            # Bounded by the label's budget: where a value was replaced, every event has to count as an overflow.
            if method in _KNOWN_METHODS and series.is_exact:
                self._routes[method, endpoint] = series
        return series

    def answered(self, method: str, endpoint: str, status_code: int, seconds: float) -> None:
        """A request was answered, or its client left (499).

        Args:
            method: As sent; unknown ones count as ``_OTHER``.
            endpoint: Full route template, or ``unmatched``.
            status_code: What was sent to the client.
            seconds: From the start of the request to the last byte of the response.
        """
        with guard.guarded("counting an HTTP request"):
            self.route(method, endpoint).answered(status_code, seconds)

    def failed(self, error: BaseException) -> None:
        """A handler raised an exception that nothing handled."""
        self._errors.occurred(error, component="http")

    def declare(self, method: str, endpoint: str, status_code: int) -> None:
        """Let the series of a route that was declared exist before its first request."""
        labels: ResponseLabels = {"method": known(method), "endpoint": endpoint, "status_code": str(status_code)}
        self.requests.declare(labels)
        self.in_progress.declare(labels)

    def declare_endpoint(self, endpoint: str) -> None:
        """Let requests to a route of the application count under its template, however many routes there are."""
        for metric in (
            self.requests,
            self.duration,
            self.first_byte,
            self.request_size,
            self.response_size,
            self.in_progress,
        ):
            metric.declare_value("endpoint", endpoint)
        self.websockets.declare_endpoint(endpoint)
        self._errors.declare_endpoint(endpoint)


class RouteSeries:
    """The series of one method and endpoint; adding to them takes no look-up by label."""

    __slots__ = ("_duration", "_first_byte", "_in_progress", "_labels", "_received", "_recorder", "_sent", "_statuses")

    def __init__(self, recorder: HttpRecorder, labels: EndpointLabels) -> None:
        self._recorder = recorder
        self._labels = labels
        self._in_progress: LevelSeries | None = None  # only where somebody says when requests start
        self._duration = recorder.duration.bind(labels)
        self._first_byte = recorder.first_byte.bind(labels)
        self._received: HistogramSeries | None = None  # most routes receive no body
        self._sent: HistogramSeries | None = None
        self._statuses: dict[int, CounterSeries] = {}

    @property
    def is_exact(self) -> bool:
        """Whether no label value had to be replaced."""
        return self._recorder.duration.is_exact(self._labels)

    def started(self) -> None:
        """A request reached the route."""
        if self._in_progress is None:
            self._in_progress = self._recorder.in_progress.bind(self._labels)
        self._in_progress.add(1)

    def ended(self) -> None:
        """A request that had started is over, however it ended."""
        if self._in_progress is None:
            self._in_progress = self._recorder.in_progress.bind(self._labels)
        self._in_progress.add(-1)

    def answered(
        self, status_code: int, seconds: float, first_byte: float | None = None, received: int = 0, sent: int = 0
    ) -> None:
        """A request was answered, or its client left (499).

        Args:
            status_code: What was sent to the client.
            seconds: From the start of the request to the last byte of the response.
            first_byte: From the start of the request to the first byte of the response's body, where that is known.
            received: Bytes of the request's body that the application read.
            sent: Bytes of the response's body.
        """
        requests = self._statuses.get(status_code)
        if requests is None:
            requests = self._requests(status_code)
        requests.add(1)
        self._duration.record(seconds)
        if first_byte is not None:
            self._first_byte.record(first_byte)
        if received:
            if self._received is None:
                self._received = self._recorder.request_size.bind(self._labels)
            self._received.record(received)
        if sent:
            if self._sent is None:
                self._sent = self._recorder.response_size.bind(self._labels)
            self._sent.record(sent)

    def _requests(self, status_code: int) -> CounterSeries:
        labels: ResponseLabels = {**self._labels, "status_code": str(status_code)}
        series = self._recorder.requests.bind(labels)
        if self._recorder.requests.is_exact(labels):
            self._statuses[status_code] = series
        return series
