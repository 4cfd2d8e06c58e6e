"""Clearing away what nobody needs any more, in a worker; users' own deletions are in `app.services.files`."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import CursorResult, delete, select

import telemetry
from app.db import sync_session
from app.faults import AppError
from app.models import File, Job, now
from app.services import quota
from app.settings import get_settings
from app.storage import AUDIO, storage

BATCH = 500


def delete_expired() -> dict[str, int]:
    """Delete expired files, forgotten recordings and old jobs, a batch at a time, and return how many."""
    with sync_session() as session:
        expired = session.scalars(select(File).where(File.expires_at < now()).limit(BATCH)).all()
    files = sum(_delete_file(file) for file in expired)
    with sync_session() as session:
        oldest = now() - timedelta(days=get_settings().job_retention_days)
        gone = session.execute(delete(Job).where(Job.updated_at < oldest))
    return {
        "files": files,
        "recordings": _delete_recordings(),
        "jobs": gone.rowcount if isinstance(gone, CursorResult) else 0,
    }


def _delete_recordings() -> int:
    """Delete recordings whose task was killed before it could; a task lives for minutes, so a day is long enough."""
    forgotten = storage().list_sync(AUDIO, older_than=now() - timedelta(days=1))
    return sum(delete_quietly(AUDIO, key) for key in forgotten[:BATCH])


def _delete_file(file: File) -> bool:
    if not delete_quietly(file.bucket, file.key):
        return False
    forget_file(file)
    return True


def delete_quietly(bucket: str, key: str) -> bool:
    """Delete an object and return whether it is gone; a failure is counted and left for the next time."""
    try:
        storage().delete_sync(bucket, key)
    except AppError as error:
        telemetry.get().errors.occurred(error.fault.kind, component="storage")
        return False
    return True


def forget_file(file: File) -> None:
    """Delete a file's row and give its bytes back to its owner."""
    with sync_session() as session:
        gone = session.execute(delete(File).where(File.id == file.id))
        if isinstance(gone, CursorResult) and gone.rowcount:
            session.execute(quota.release(file.user_id, file.size))
