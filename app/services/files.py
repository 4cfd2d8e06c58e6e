"""A user's files: rows in the database, bytes in the object store, together within the plan's quota."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.faults import AppError, not_found
from app.models import File, User
from app.services import quota
from app.settings import get_settings
from app.storage import USER_FILES, ObjectMissing, Storage


async def upload(session: AsyncSession, store: Storage, user: User, name: str, content_type: str, data: bytes) -> File:
    """Store a file of a user.

    Raises:
        AppError: it does not fit into the quota, or the store is down.
    """
    file = await _reserve(session, user, name, content_type, len(data))
    try:
        await store.upload(file.bucket, file.key, data)
    except AppError:
        await _forget(session, file)
        raise
    await session.execute(quota.finish(file.id))
    await session.commit()
    await session.refresh(file)
    return file


async def _reserve(session: AsyncSession, user: User, name: str, content_type: str, size: int) -> File:
    taken = await session.execute(quota.reserve(user.id, size, get_settings().storage_quota.of(user.plan)))
    if not (isinstance(taken, CursorResult) and taken.rowcount):
        raise quota.exceeded(user.plan, size)
    file = quota.reservation(user.id, name, content_type, size, USER_FILES)
    session.add(file)
    await session.commit()
    return file


async def _forget(session: AsyncSession, file: File) -> None:
    gone = await session.execute(delete(File).where(File.id == file.id))
    # Whoever deletes the row gives the bytes back, so two deletions at once give them back once.
    if isinstance(gone, CursorResult) and gone.rowcount:
        await session.execute(quota.release(file.user_id, file.size))
    await session.commit()


async def page(session: AsyncSession, user: User, limit: int, offset: int) -> Sequence[File]:
    """Return a page of a user's files, newest first."""
    own = select(File).where(File.user_id == user.id, File.ready)
    return (await session.scalars(own.order_by(File.created_at.desc(), File.id).limit(limit).offset(offset))).all()


async def get(session: AsyncSession, user: User, file_id: str) -> File:
    """Return a user's file.

    Raises:
        AppError: 404.
    """
    file = await session.scalar(select(File).where(File.id == file_id, File.user_id == user.id, File.ready))
    if file is None:
        raise not_found("file")
    return file


async def read(session: AsyncSession, store: Storage, user: User, file_id: str) -> tuple[File, bytes]:
    """Return a user's file with its bytes."""
    file = await get(session, user, file_id)
    with contextlib.suppress(ObjectMissing):
        return file, await store.download(file.bucket, file.key)
    raise not_found("file")


async def remove(session: AsyncSession, store: Storage, user: User, file_id: str) -> None:
    """Delete a user's file: the bytes first, so that what is left of a failure can be deleted again."""
    file = await get(session, user, file_id)
    await store.delete(file.bucket, file.key)
    await _forget(session, file)
