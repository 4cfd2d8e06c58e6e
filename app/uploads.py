"""Reading an uploaded file and its name safely; storing it is `app.services.files`' business."""

from __future__ import annotations

from fastapi import UploadFile

from app.body_limit import too_large
from app.faults import AppError, Fault

MAX_NAME = 255
MAX_CONTENT_TYPE = 100
DEFAULT_CONTENT_TYPE = "application/octet-stream"


async def read_upload(file: UploadFile, max_bytes: int) -> bytes:
    """Return the bytes of an upload.

    Raises:
        AppError: 413 when it is too large, 422 when it is empty.
    """
    data = await file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    if not data:
        raise AppError(Fault("InvalidInput", "file: the upload is empty.", 422, "http"))
    return data


def file_name(file: UploadFile) -> str:
    """Return the last part of the name the client gave, without control characters."""
    last = (file.filename or "").replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())[:MAX_NAME] or "file"


def content_type(file: UploadFile) -> str:
    """Return the type the client gave, or the one that promises nothing."""
    given = file.content_type or ""
    return given if 0 < len(given) <= MAX_CONTENT_TYPE and given.isprintable() else DEFAULT_CONTENT_TYPE
