"""Whether the process lives, and whether it can serve; neither counts as an error when it cannot."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from app.models import User
from app.resources import Held, Resources
from app.schemas import Readiness

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> dict[str, str]:
    """Answer as long as the process does."""
    return {"status": "ok"}


@router.get("/ready", response_model=Readiness, responses={503: {"model": Readiness, "description": "Not yet."}})
async def ready(held: Held) -> JSONResponse:
    """Answer 200 when everything a request needs is there, or 503 naming what is missing."""
    parts = await asyncio.gather(_database(held), _redis(held), held.publisher.reachable())
    missing = [name for name, there in zip(("database", "redis", "broker"), parts, strict=True) if not there]
    content: dict[str, Any] = {"status": "unavailable" if missing else "ok", "missing": missing}
    return JSONResponse(content, 503 if missing else 200)


async def _database(held: Resources) -> bool:
    try:
        async with held.sessions() as session:
            await session.execute(select(User.id).limit(1))
    except (SQLAlchemyError, OSError):
        return False
    return True


async def _redis(held: Resources) -> bool:
    try:
        await held.redis.ping()
    except (RedisError, OSError):
        return False
    return True
