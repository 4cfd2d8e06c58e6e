"""How often a user may call an endpoint, counted in Redis; a Redis that is down lets requests through."""

from __future__ import annotations

import math
import time

import limits
import redis.asyncio
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

import telemetry
from app.faults import AppError, Fault
from app.plans import Plan
from app.settings import Settings


class RateLimits:
    """The limits of all plans and endpoints."""

    def __init__(self, client: redis.asyncio.Redis, settings: Settings) -> None:
        self._settings = settings
        storage = RedisStorage(
            f"async+{settings.redis_url}",
            implementation="redispy",
            key_prefix="limits",
            connection_pool=client.connection_pool,  # type: ignore[arg-type]  # passed on to redis-py as it is
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def check(self, user_id: str, plan: Plan, method: str, endpoint: str) -> None:
        """Count a request.

        Args:
            user_id: Whose request it is.
            plan: The user's plan.
            method: The HTTP method; reads and writes of one endpoint are counted apart.
            endpoint: The route template.

        Raises:
            AppError: 429, with the seconds to wait.
        """
        limit = limits.parse(self._settings.limit_of(plan, endpoint))
        try:
            if await self._limiter.hit(limit, user_id, method, endpoint):
                return
            stats = await self._limiter.get_window_stats(limit, user_id, method, endpoint)
        except RedisError as error:
            telemetry.get().errors.occurred(error, component="redis")
            return
        telemetry.get().errors.rate_limit_exceeded(endpoint=endpoint, plan=plan.value)
        raise _exceeded(limit, plan, max(1, math.ceil(stats.reset_time - time.time())))


def _exceeded(limit: limits.RateLimitItem, plan: Plan, seconds: int) -> AppError:
    text = f"The {plan} plan allows {limit} on this endpoint; try again in {seconds} s."
    return AppError(Fault("RateLimitExceeded", text, 429, headers={"Retry-After": str(seconds)}))
