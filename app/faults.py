"""What can go wrong and what that means for a client: status, text, component; for HTTP handlers and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import kombu.exceptions
import obstore.exceptions
import redis.exceptions
import sqlalchemy.exc
from starlette.exceptions import HTTPException

Component = Literal["http", "llm", "database", "redis", "storage", "celery", "auth", "telemetry"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure as seen by a client and by telemetry.

    Attributes:
        kind: A short name in CamelCase; the `type` in the response and the error type in telemetry.
        message: What to tell the client.
        status: The HTTP status.
        component: Where to count it; None when it is no error of ours, or counted elsewhere.
        retryable: Whether a task should try again later.
    """

    kind: str
    message: str
    status: int
    component: Component | None = None
    retryable: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


class AppError(HTTPException):
    """An error this code raises on purpose.

    It is a Starlette HTTPException because FastAPI passes these through unchanged while it reads a body.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.status, fault.message, dict(fault.headers))
        self.fault = fault

    def __reduce__(self) -> tuple[type[AppError], tuple[Fault]]:
        """Survive the way from a pool's child to its parent."""
        return AppError, (self.fault,)

    def __str__(self) -> str:
        return self.fault.message


DATABASE_DOWN = Fault(
    "DatabaseUnavailable",
    "The database cannot be reached; try again shortly.",
    503,
    "database",
    retryable=True,
)
REDIS_DOWN = Fault("RedisUnavailable", "Redis cannot be reached; try again shortly.", 503, "redis", retryable=True)
QUEUE_DOWN = Fault(
    "QueueUnavailable",
    "The task queue cannot be reached, so nothing was started; try again shortly.",
    503,
    "celery",
)
STORAGE_DOWN = Fault(
    "StorageUnavailable",
    "The file store cannot be reached; try again shortly.",
    503,
    "storage",
    retryable=True,
)

# Read top down; the first match wins.
_FOREIGN: tuple[tuple[type[Exception], Fault], ...] = (
    (sqlalchemy.exc.OperationalError, DATABASE_DOWN),
    (sqlalchemy.exc.InterfaceError, DATABASE_DOWN),
    (sqlalchemy.exc.TimeoutError, DATABASE_DOWN),
    (kombu.exceptions.OperationalError, QUEUE_DOWN),
    (redis.exceptions.RedisError, REDIS_DOWN),
    (obstore.exceptions.BaseError, STORAGE_DOWN),
)


def classify(error: BaseException) -> Fault | None:
    """Return what an exception means, or None for one that nobody expected."""
    if isinstance(error, AppError):
        return error.fault
    return next((fault for kind, fault in _FOREIGN if isinstance(error, kind)), None)


def not_found(what: str) -> AppError:
    """Return the error for something that is not there, or not this user's."""
    return AppError(Fault("NotFound", f"There is no such {what}.", 404))


FOREIGN_ERRORS: tuple[type[Exception], ...] = tuple(kind for kind, _ in _FOREIGN)
