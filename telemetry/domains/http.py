"""Records HTTP requests; declared in ``catalogue/http.py``, hooked in ``instrumentation/fastapi.py``."""

from __future__ import annotations

from typing import cast, get_args

from telemetry.catalogue import http as catalogue
from telemetry.catalogue._labels import Method
from telemetry.catalogue.http import ResponseLabels
from telemetry.domains.errors import ErrorsRecorder
from telemetry.instruments import Instruments

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
        self._requests = instruments.counter(catalogue.REQUESTS)
        self._duration = instruments.histogram(catalogue.DURATION)
        self._in_progress = instruments.level(catalogue.IN_PROGRESS)
        self._errors = errors

    def started(self, method: str, endpoint: str) -> None:
        """A request reached its route."""
        self._in_progress.add(1, {"method": known(method), "endpoint": endpoint})

    def ended(self, method: str, endpoint: str) -> None:
        """A request that had started is over, however it ended."""
        self._in_progress.add(-1, {"method": known(method), "endpoint": endpoint})

    def answered(self, method: str, endpoint: str, status_code: int, seconds: float) -> None:
        """A request was answered, or its client left (499).

        Args:
            method: As sent; unknown ones count as ``_OTHER``.
            endpoint: Full route template, or ``unmatched``.
            status_code: What was sent to the client.
            seconds: From the start of the request to the last byte of the response.
        """
        labels: ResponseLabels = {"method": known(method), "endpoint": endpoint, "status_code": str(status_code)}
        self._requests.add(1, labels)
        self._duration.record(seconds, labels)

    def failed(self, error: BaseException) -> None:
        """A handler raised an exception that nothing handled."""
        self._errors.occurred(error, component="http")

    def declare(self, method: str, endpoint: str, status_code: int) -> None:
        """Let the series of a known route exist before its first request."""
        labels: ResponseLabels = {"method": known(method), "endpoint": endpoint, "status_code": str(status_code)}
        self._requests.declare(labels)
        self._in_progress.declare(labels)
