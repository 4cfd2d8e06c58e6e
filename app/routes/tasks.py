"""The state of tasks; starting them belongs to what they are for."""

from __future__ import annotations

from fastapi import APIRouter

from app import answers
from app.auth import CurrentUser, Db
from app.models import Job
from app.schemas import TaskAccepted, TaskShown
from app.services import tasks

router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"], responses=answers.ALWAYS | answers.refusals(404))


def poll_url(task_id: str) -> str:
    """Return where the state of a task can be read."""
    return f"/api/v1/tasks/{task_id}"


def accepted(job: Job) -> TaskAccepted:
    """Return the answer to a request that a task will fulfil."""
    return TaskAccepted(task_id=job.id, poll_url=poll_url(job.id))


@router.get("/{task_id}")
async def read_task(task_id: str, user: CurrentUser, session: Db) -> TaskShown:
    """Read the state of a task, with its result or its error."""
    job = await tasks.get(session, user, task_id)
    return TaskShown(
        task_id=job.id,
        name=job.name,
        state=job.state,
        result=job.result,
        error=job.error,
        created_at=job.created_at,
        updated_at=job.updated_at,
    )
