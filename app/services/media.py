"""Images and transcripts, made in a worker; accepting the requests is `app.routes.media`'s business."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CursorResult
from sqlalchemy.orm import Session

from app.db import sync_session
from app.llm import media_vendor
from app.models import File, Job, User
from app.recorders import business
from app.services import jobs, maintenance, quota
from app.settings import get_settings
from app.storage import AUDIO, IMAGES, ObjectMissing, storage


def generate_image(job_id: str, prompt: str) -> dict[str, Any]:
    """Draw an image, store it as a file of the job's owner and return the job's result."""
    model = get_settings().image_model
    png = media_vendor().create_image(prompt)
    file = _reserve(job_id, png)
    try:
        storage().upload_sync(file.bucket, file.key, png)
    except Exception:
        maintenance.forget_file(file)
        raise
    result = {"file_id": file.id, "url": f"/api/v1/files/{file.id}", "model": model, "bytes": len(png)}
    with sync_session() as session:
        session.execute(quota.finish(file.id))
        jobs.succeed(session, job_id, result)
    business.image_generated(model)
    return result


def _reserve(job_id: str, png: bytes) -> File:
    with sync_session() as session:
        user = _owner(session, job_id)
        taken = session.execute(quota.reserve(user.id, len(png), get_settings().storage_quota.of(user.plan)))
        if not (isinstance(taken, CursorResult) and taken.rowcount):
            raise quota.exceeded(user.plan, len(png))
        file = quota.reservation(user.id, f"image-{job_id}.png", "image/png", len(png), IMAGES)
        session.add(file)
    return file


def _owner(session: Session, job_id: str) -> User:
    job = session.get(Job, job_id)
    user = session.get(User, job.user_id) if job else None
    if user is None:
        raise jobs.Gone("the user was deleted")
    return user


def transcribe(job_id: str, key: str, name: str) -> dict[str, Any]:
    """Transcribe a recording that the app has put into the store, and return the job's result."""
    try:
        audio = storage().download_sync(AUDIO, key)
    except ObjectMissing:
        raise jobs.Gone("the recording is no longer there") from None
    vendor = media_vendor()
    heard = vendor.transcribe(name, audio)
    result = {"text": heard.text, "language": heard.language, "seconds": heard.seconds}
    with sync_session() as session:
        jobs.succeed(session, job_id, result)
    business.audio_transcribed(seconds=heard.seconds, provider=vendor.provider, language=heard.language)
    return result


def drop_recording(key: str) -> None:
    """Delete a recording that is no longer needed; a store that is down leaves it behind and is counted."""
    maintenance.delete_quietly(AUDIO, key)
