"""Redis connections that give up quickly, so that a Redis that is down costs little; no keys are named here."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.process import PerProcess
from app.settings import Settings, get_settings


def _options(settings: Settings) -> dict[str, Any]:
    seconds = settings.redis_timeout_seconds
    return {"socket_timeout": seconds, "socket_connect_timeout": seconds, "decode_responses": True}


def make_async_redis(settings: Settings) -> redis.asyncio.Redis:
    """Return the app's client."""
    retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
    return redis.asyncio.Redis.from_url(settings.redis_url, retry=retry, **_options(settings))


@PerProcess
def sync_redis() -> redis.Redis:
    """Return this worker process's client."""
    settings = get_settings()
    return redis.Redis.from_url(settings.redis_url, retry=Retry(NoBackoff(), 0), **_options(settings))
