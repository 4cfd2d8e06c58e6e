"""What users may know about their tasks, written by the worker; starting a task is `app.publishing`'s business."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.db import sync_session
from app.models import FINAL_STATES, Job, JobState, Message, MessageStatus, now


class Gone(Exception):
    """What a task was to work on has been deleted meanwhile; no fault of anyone."""


def begin(job_id: str) -> dict[str, Any] | None:
    """Note that a task runs, or return its result when an earlier delivery of it has already ended.

    Raises:
        Gone: nobody knows this task any more.
    """
    with sync_session() as session:
        job = session.get(Job, job_id)
        if job is None:
            raise Gone("the task is no longer known")
        if job.state in FINAL_STATES:
            return job.result or {}
        _set(session, job_id, state=JobState.RUNNING)
    return None


def retry_later(job_id: str, reason: str) -> None:
    """Note that a task will be tried again."""
    with sync_session() as session:
        _set(session, job_id, state=JobState.RETRYING, error=reason)


def succeed(session: Session, job_id: str, result: dict[str, Any]) -> None:
    """Note a task's result, in the transaction that stores what the task made."""
    _set(session, job_id, state=JobState.SUCCEEDED, result=result, error=None)


def fail(job_id: str, reason: str, state: JobState = JobState.FAILED) -> None:
    """Note that a task has finally failed, and its message with it."""
    with sync_session() as session:
        job = session.get(Job, job_id)
        if job is None or job.state in FINAL_STATES:
            return
        _set(session, job_id, state=state, error=reason)
        if job.message_id is not None:
            failed = {"status": MessageStatus.FAILED, "error": reason}
            session.execute(update(Message).where(Message.id == job.message_id).values(failed))


def _set(session: Session, job_id: str, **values: Any) -> None:
    session.execute(update(Job).where(Job.id == job_id).values(updated_at=now(), **values))
