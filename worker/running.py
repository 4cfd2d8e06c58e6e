"""How every task begins, retries, fails and is counted; the same for all, and nothing of what a task does."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any, TypeVar

from celery.exceptions import Retry, SoftTimeLimitExceeded

import telemetry
from app.faults import Fault, classify
from app.models import JobState
from app.services import jobs
from app.settings import get_settings

log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_BACKOFF_SECONDS = 60.0


def run_job(
    task: Any, work: Callable[[str], dict[str, Any]], at_end: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Run the work of a task that a user is waiting for, and keep the user's view of it true.

    Args:
        task: The bound task.
        work: Gets the job's id; returns its result, having stored it.
        at_end: Called when there will be no further try.
    """
    job_id = str(task.request.id)
    try:
        earlier = jobs.begin(job_id)
        result = work(job_id) if earlier is None else earlier
    except jobs.Gone as gone:
        reason = str(gone)
        _safely(lambda: jobs.fail(job_id, f"Cancelled: {reason}.", JobState.CANCELLED))
        result = {"cancelled": reason}
    except Exception as error:
        _failed_once(
            task,
            error,
            lambda reason: jobs.retry_later(job_id, reason),
            lambda r: jobs.fail(job_id, r),
            at_end,
        )
        raise
    _safely(at_end)
    return result


def run_plain(task: Any, work: Callable[[], T]) -> T:
    """Run the work of a task that nobody waits for."""
    try:
        return work()
    except Exception as error:
        _failed_once(task, error, lambda _: None, lambda _: None, lambda: None)
        raise


def _failed_once(
    task: Any,
    error: Exception,
    note_retry: Callable[[str], None],
    note_failure: Callable[[str], None],
    at_end: Callable[[], None],
) -> None:
    """Count a failure and raise Celery's Retry if there is a further try."""
    fault = _explain(error)
    if fault.component is not None:
        telemetry.get().errors.occurred(fault.kind, component=fault.component)
    if fault.retryable and task.request.retries < get_settings().task_max_retries:
        _safely(lambda: note_retry(fault.message))
        raise _retry(task, error)
    _safely(lambda: note_failure(fault.message))
    _safely(at_end)


def _retry(task: Any, error: Exception) -> Retry:
    settings = get_settings()
    seconds = min(MAX_BACKOFF_SECONDS, settings.task_retry_backoff_seconds * 2**task.request.retries)
    # Jitter, so that a vendor that comes back is not met by all retries at once.
    wait = seconds * random.uniform(0.75, 1.25)
    retry = task.retry(exc=error, countdown=wait, max_retries=settings.task_max_retries, throw=False)
    if not isinstance(retry, Retry):
        raise TypeError(f"Celery returned {retry!r} instead of a Retry")
    return retry


def _explain(error: Exception) -> Fault:
    if isinstance(error, SoftTimeLimitExceeded):
        return Fault("SoftTimeLimitExceeded", "The task took too long and was stopped.", 504, "celery")
    known = classify(error)
    if known is None:
        log.exception("unexpected error in a task", exc_info=error)
        return Fault(type(error).__name__, "The task failed unexpectedly.", 500, "celery")
    return known


def _safely(note: Callable[[], None]) -> None:
    """Write down what happened; if the database is what failed, the log has to do."""
    try:
        note()
    except Exception:
        log.exception("the state of a task could not be written")
