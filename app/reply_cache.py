"""Replies kept in Redis by provider, model and prompt; a Redis that is down means no cache, never an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import redis
import redis.asyncio
from redis.exceptions import RedisError

import telemetry
from app.settings import Settings


def cache_key(provider: str, model: str, messages: Sequence[dict[str, str]]) -> str:
    """Return the key of a prompt; equal prompts to equal models share it, whoever asks."""
    prompt = json.dumps([provider, model, list(messages)], ensure_ascii=False, sort_keys=True)
    return f"reply:{hashlib.sha256(prompt.encode()).hexdigest()}"


class ReplyCache:
    """The worker's cache."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._ttl = settings.reply_cache_seconds

    def get(self, key: str) -> str | None:
        """Return the cached reply, if there is one."""
        if not self._ttl:
            return None
        try:
            value = self._client.get(key)
        except RedisError as error:
            telemetry.get().errors.occurred(error, component="redis")
            return None
        return str(value) if value is not None else None

    def put(self, key: str, reply: str) -> None:
        """Keep a reply."""
        if not self._ttl:
            return
        try:
            self._client.set(key, reply, ex=self._ttl)
        except RedisError as error:
            telemetry.get().errors.occurred(error, component="redis")


class AsyncReplyCache:
    """The app's cache; the same keys as the worker's."""

    def __init__(self, client: redis.asyncio.Redis, settings: Settings) -> None:
        self._client = client
        self._ttl = settings.reply_cache_seconds

    async def get(self, key: str) -> str | None:
        """Return the cached reply, if there is one."""
        if not self._ttl:
            return None
        try:
            value = await self._client.get(key)
        except RedisError as error:
            telemetry.get().errors.occurred(error, component="redis")
            return None
        return str(value) if value is not None else None

    async def put(self, key: str, reply: str) -> None:
        """Keep a reply."""
        if not self._ttl:
            return
        try:
            await self._client.set(key, reply, ex=self._ttl)
        except RedisError as error:
            telemetry.get().errors.occurred(error, component="redis")
