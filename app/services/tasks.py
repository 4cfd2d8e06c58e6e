"""A user's tasks as the app sees them; the worker's view is `app.services.jobs`."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.faults import AppError, not_found
from app.models import Job, JobState, Message, MessageStatus, User, new_id, now
from app.publishing import Publisher, killed

_IN_WORK = frozenset({JobState.RUNNING, JobState.RETRYING})
_SUSPICIOUS_AFTER = timedelta(seconds=5)


async def start(
    session: AsyncSession,
    publisher: Publisher,
    user: User,
    name: str,
    args: list[str],
    job_id: str | None = None,
) -> Job:
    """Start a media task for a user; one that cannot be queued leaves nothing behind.

    Raises:
        AppError: 503, the broker cannot be reached.
    """
    job = Job(id=job_id or new_id(), user_id=user.id, name=name)
    session.add(job)
    await session.commit()
    try:
        await publisher.publish(name, job.id, user.plan, list(args), media=True)
    except AppError:
        await session.execute(delete(Job).where(Job.id == job.id))
        await session.commit()
        raise
    return job


async def get(session: AsyncSession, user: User, task_id: str) -> Job:
    """Return a user's task.

    Raises:
        AppError: 404.
    """
    job = await session.scalar(select(Job).where(Job.id == task_id, Job.user_id == user.id))
    if job is None:
        raise not_found("task")
    if job.state in _IN_WORK and now() - job.updated_at > _SUSPICIOUS_AFTER:
        await _settle(session, job)
    return job


async def _settle(session: AsyncSession, job: Job) -> None:
    """Ask Celery about a task that has been silent for long: one that was killed could not write its own end."""
    await session.commit()
    reason = await killed(job.id)
    if reason is None:
        return
    await session.execute(
        update(Message).where(Message.id == job.message_id).values(status=MessageStatus.FAILED, error=reason)
    )
    job.state, job.error, job.updated_at = JobState.FAILED, reason, now()
    await session.commit()
