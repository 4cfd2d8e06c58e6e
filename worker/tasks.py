"""The tasks by name; what they do is in `app.services`, how they fail and retry is in `worker.running`."""

from __future__ import annotations

from typing import Any

from app.faults import AppError
from app.services import maintenance, media, replies
from worker.celery_app import celery_app
from worker.running import run_job, run_plain


@celery_app.task(name="chat.generate_reply", bind=True, throws=(AppError,))
def generate_reply(task: Any, message_id: int) -> dict[str, Any]:
    """Write the reply to a message."""
    return run_job(task, lambda job_id: replies.generate(job_id, message_id))


@celery_app.task(name="media.generate_image", bind=True, throws=(AppError,))
def generate_image(task: Any, prompt: str) -> dict[str, Any]:
    """Draw an image."""
    return run_job(task, lambda job_id: media.generate_image(job_id, prompt))


@celery_app.task(name="media.transcribe_audio", bind=True, throws=(AppError,))
def transcribe_audio(task: Any, key: str, name: str) -> dict[str, Any]:
    """Transcribe a recording, which is deleted afterwards."""
    return run_job(
        task,
        lambda job_id: media.transcribe(job_id, key, name),
        at_end=lambda: media.drop_recording(key),
    )


@celery_app.task(name="maintenance.delete_expired", bind=True, throws=(AppError,))
def delete_expired(task: Any) -> dict[str, int]:
    """Delete expired files and old jobs."""
    return run_plain(task, maintenance.delete_expired)
