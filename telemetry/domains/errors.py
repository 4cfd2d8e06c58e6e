"""Records errors and refused requests; what is recorded is declared in ``catalogue/errors.py``."""

from __future__ import annotations

from typing import cast

from telemetry.catalogue import errors as catalogue
from telemetry.catalogue.errors import ErrorLabels, RateLimitLabels
from telemetry.metrics.catalogue_instruments import Instruments


class ErrorsRecorder:
    """Errors of the application, each counted once, and requests refused by a rate limit."""

    def __init__(self, instruments: Instruments) -> None:
        self._errors = instruments.counter(catalogue.ERRORS)
        self._rate_limits = instruments.counter(catalogue.RATE_LIMIT_EXCEEDED)

    def occurred(self, error: BaseException | str, *, component: str) -> None:
        """An error happened.

        Args:
            error: The exception, or the name of its class.
            component: ``http``, ``llm``, ``database``, ``redis``, ``storage``, ``celery``, ``auth`` or ``telemetry``.
        """
        error_type = error if isinstance(error, str) else type(error).__name__
        self._errors.add(1, cast("ErrorLabels", {"error_type": error_type, "component": component}))

    def rate_limit_exceeded(self, *, endpoint: str, plan: str) -> None:
        """A request was refused by a rate limit.

        Args:
            endpoint: Full route template.
            plan: Plan of the caller.
        """
        self._rate_limits.add(1, cast("RateLimitLabels", {"endpoint": endpoint, "plan": plan}))

    def declare_endpoint(self, endpoint: str) -> None:
        """Let refusals on a route of the application count under its template, however many routes there are."""
        self._rate_limits.declare_value("endpoint", endpoint)
