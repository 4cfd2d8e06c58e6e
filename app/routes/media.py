"""Images and transcripts: accepting the requests; a worker makes them."""

from __future__ import annotations

from fastapi import APIRouter, UploadFile

from app import answers
from app.auth import CurrentUser, Db
from app.faults import AppError
from app.models import new_id
from app.resources import Held
from app.routes.tasks import accepted
from app.schemas import NewImage, TaskAccepted
from app.services import quota, tasks
from app.storage import AUDIO
from app.uploads import file_name, read_upload

router = APIRouter(prefix="/api/v1", tags=["media"], responses=answers.ALWAYS | answers.WITH_BODY)


@router.post("/images", status_code=202)
async def create_image(body: NewImage, user: CurrentUser, session: Db, held: Held) -> TaskAccepted:
    """Draw an image; the task's result names the file it is stored as."""
    if user.storage_used >= held.settings.storage_quota.of(user.plan):
        raise quota.exceeded(user.plan, 1)
    return accepted(await tasks.start(session, held.publisher, user, "media.generate_image", [body.prompt]))


@router.post("/audio/transcriptions", status_code=202)
async def transcribe_audio(file: UploadFile, user: CurrentUser, session: Db, held: Held) -> TaskAccepted:
    """Transcribe a recording; it is kept only until that is done."""
    data = await read_upload(file, held.settings.upload_max_bytes)
    job_id = new_id()
    key = f"{user.id}/{job_id}"
    await held.storage.upload(AUDIO, key, data)
    args = [key, file_name(file)]
    try:
        job = await tasks.start(session, held.publisher, user, "media.transcribe_audio", args, job_id)
    except AppError:
        await held.storage.delete(AUDIO, key)
        raise
    return accepted(job)
