"""Metrics of the guide's section "Rate Limiting & Errors"; how they are measured is in ``domains/errors.py``."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from telemetry.catalogue._labels import Endpoint, Plan
from telemetry.catalogue._spec import Budget, CounterSpec


class RateLimitLabels(TypedDict):
    """Which route refused whom."""

    endpoint: Endpoint
    plan: Plan


class ErrorLabels(TypedDict):
    """What kind of error, where."""

    error_type: Annotated[str, Budget(100, "exception classes of the application")]
    component: Literal["http", "llm", "database", "redis", "storage", "celery", "auth", "telemetry", "other"]


RATE_LIMIT_EXCEEDED = CounterSpec(
    name="rate_limit_exceeded_total",
    help="Requests refused by a rate limit.",
    labels=RateLimitLabels,
    unit="{request}",
)
ERRORS = CounterSpec(
    name="errors_total",
    help="Errors of the application, by class and component; each error once.",
    labels=ErrorLabels,
    unit="{error}",
)
