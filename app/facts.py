"""Reads facts about the product from the database every few seconds and hands them to telemetry; counts no events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

import telemetry
from app.models import Conversation, User, now
from app.plans import Plan
from app.recorders import business, storage
from app.resources import Resources
from app.settings import Settings

READ_SECONDS = 10.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def reading(resources: Resources) -> AsyncIterator[None]:
    """Read the facts for as long as the block runs; leaving it never waits for a reading."""
    task = asyncio.create_task(_read_for_ever(resources), name="facts")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(task, timeout=1)


async def _read_for_ever(resources: Resources) -> None:
    while True:
        await read_once(resources)
        await asyncio.sleep(resources.settings.facts_interval_seconds)


async def read_once(resources: Resources) -> None:
    """Take one reading; one that fails leaves no readings, for an old or invented number would be wrong."""
    try:
        async with asyncio.timeout(READ_SECONDS), resources.sessions() as session:
            users = await _users_active(session, resources.settings)
            conversations = await _conversations_active(session, resources.settings)
            stored = await _storage_used(session)
    except Exception as error:  # whatever fails, the readings are forgotten and the app goes on
        log.warning("facts could not be read: %s", error)
        telemetry.get().errors.occurred(error, component="database")
        business.forget_readings()
        storage.forget_readings()
        return
    business.observe_users_active(users)
    business.observe_conversations_active(conversations)
    storage.observe_quota_used(stored)


async def _users_active(session: AsyncSession, settings: Settings) -> dict[Plan, int]:
    since = now() - timedelta(hours=settings.user_active_hours)
    by_plan = select(User.plan, func.count()).where(User.last_seen_at >= since).group_by(User.plan)
    active: dict[Plan, int] = {row[0]: row[1] for row in await session.execute(by_plan)}
    return {plan: active.get(plan, 0) for plan in Plan}


async def _conversations_active(session: AsyncSession, settings: Settings) -> int:
    since = now() - timedelta(hours=settings.conversation_active_hours)
    return await session.scalar(select(func.count()).where(Conversation.updated_at >= since)) or 0


async def _storage_used(session: AsyncSession) -> list[storage.Usage]:
    used = select(User.id, User.plan, User.storage_used).where(User.storage_used > 0)
    return [(user_id, plan, size) for user_id, plan, size in await session.execute(used)]
