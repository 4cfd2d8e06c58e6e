"""A user's files: upload, list, download, delete."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, UploadFile
from starlette.responses import Response

from app import answers
from app.auth import CurrentUser, Db
from app.resources import Held
from app.routes.chat import Limit, Offset
from app.schemas import FilePage, FileShown
from app.services import files
from app.uploads import content_type, file_name, read_upload

router = APIRouter(prefix="/api/v1/files", tags=["files"], responses=answers.ALWAYS)

_OF_ONE = answers.refusals(404)
_BYTES = answers.success("*/*", {"type": "string", "format": "binary"}, "The file.")


@router.post("", status_code=201, responses=answers.WITH_BODY)
async def upload_file(file: UploadFile, user: CurrentUser, session: Db, held: Held) -> FileShown:
    """Store a file within the plan's quota."""
    data = await read_upload(file, held.settings.upload_max_bytes)
    stored = await files.upload(session, held.storage, user, file_name(file), content_type(file), data)
    return FileShown.model_validate(stored)


@router.get("")
async def list_files(user: CurrentUser, session: Db, held: Held, limit: Limit = 20, offset: Offset = 0) -> FilePage:
    """List the caller's files, newest first."""
    found = await files.page(session, user, limit, offset)
    return FilePage(
        items=[FileShown.model_validate(file) for file in found],
        limit=limit,
        offset=offset,
        storage_used_bytes=user.storage_used,
        storage_quota_bytes=held.settings.storage_quota.of(user.plan),
    )


@router.get("/{file_id}", response_class=Response, responses=_OF_ONE | _BYTES)
async def download_file(file_id: str, user: CurrentUser, session: Db, held: Held) -> Response:
    """Download a file, always as an attachment: what users upload is never shown as a page of ours."""
    file, data = await files.read(session, held.storage, user, file_id)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=file.content_type, headers=headers)


@router.delete("/{file_id}", status_code=204, responses=_OF_ONE)
async def delete_file(file_id: str, user: CurrentUser, session: Db, held: Held) -> Response:
    """Delete a file."""
    await files.remove(session, held.storage, user, file_id)
    return Response(status_code=204)
