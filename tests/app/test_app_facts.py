"""Facts read from the database: true, whole, and absent rather than wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from app import facts
from app.db import sync_session
from app.models import Conversation, User, now
from tests.app.conftest import Counts

pytestmark = pytest.mark.asyncio


async def _act(client: httpx.AsyncClient, new_user: Callable[[str], Any]) -> None:
    headers = await new_user("pro")
    await new_user("enterprise")  # created, but never active
    await client.post("/api/v1/chat/conversations", json={"message": "hi"}, headers=headers)
    await client.post("/api/v1/files", files={"file": ("a", b"abc")}, headers=headers)


async def test_facts_are_read(
    client: httpx.AsyncClient, backend: FastAPI, counts: Counts, new_user: Callable[[str], Any]
) -> None:
    """Active users by plan, active conversations and stored bytes are what the database says."""
    await _act(client, new_user)
    await facts.read_once(backend.state.resources)
    active = {labels["plan"]: value for labels, value in counts.series("users_active")}
    assert active == {"free": 0, "pro": 1, "enterprise": 0}
    assert counts.of("conversations_active") == 1
    assert [value for _, value in counts.series("storage_quota_used_bytes")] == [3]


async def test_old_activity_is_past(
    client: httpx.AsyncClient, backend: FastAPI, counts: Counts, new_user: Callable[[str], Any]
) -> None:
    """Users and conversations that have been quiet for long are not active any more."""
    await _act(client, new_user)
    with sync_session() as session:
        session.execute(update(User).values(last_seen_at=now() - timedelta(hours=25)))
        session.execute(update(Conversation).values(updated_at=now() - timedelta(hours=2)))
    await facts.read_once(backend.state.resources)
    assert (counts.of("users_active"), counts.of("conversations_active")) == (0, 0)


async def test_unreadable_is_absent(
    client: httpx.AsyncClient,
    backend: FastAPI,
    counts: Counts,
    database: Path,
    new_user: Callable[[str], Any],
) -> None:
    """When the database cannot be read there are no readings, not zeros and not the old ones."""
    await _act(client, new_user)
    await facts.read_once(backend.state.resources)
    await backend.state.resources.engine.dispose()
    database.unlink()
    database.mkdir()
    await facts.read_once(backend.state.resources)
    for name in ("users_active", "conversations_active", "storage_quota_used_bytes"):
        assert counts.series(name) == []
    database.rmdir()
