"""What one app process holds open, from start-up to shutdown; the worker has its own (see `PerProcess`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import redis.asyncio
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import Sessions, make_async_engine, make_sessions
from app.llm import make_chat_vendor
from app.publishing import Publisher
from app.rate_limits import RateLimits
from app.redis_clients import make_async_redis
from app.reply_cache import AsyncReplyCache
from app.services.streaming import Streamer
from app.settings import Settings
from app.storage import Storage, open_store


@dataclass(frozen=True, slots=True)
class Resources:
    """Connections and what is built on them."""

    settings: Settings
    engine: AsyncEngine
    sessions: Sessions
    redis: redis.asyncio.Redis
    rate_limits: RateLimits
    publisher: Publisher
    storage: Storage
    streamer: Streamer

    async def close(self) -> None:
        """Close every connection."""
        await self.redis.aclose()
        await self.engine.dispose()


def open_resources(settings: Settings) -> Resources:
    """Prepare the connections; none is made before it is needed."""
    engine = make_async_engine(settings.database_url)
    sessions = make_sessions(engine)
    client = make_async_redis(settings)
    cache = AsyncReplyCache(client, settings)
    return Resources(
        settings=settings,
        engine=engine,
        sessions=sessions,
        redis=client,
        rate_limits=RateLimits(client, settings),
        publisher=Publisher(settings),
        storage=Storage(open_store(settings.storage_url)),
        streamer=Streamer(sessions, make_chat_vendor(settings), cache, settings),
    )


def _of(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


Held = Annotated[Resources, Depends(_of)]
