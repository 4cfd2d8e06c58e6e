"""A Redis broker: lease, workers and queues are keys beside the messages."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable
from typing import Any

from telemetry.instrumentation.celery.broker import KNOWN_FOR, MAX_QUEUES
from telemetry.instrumentation.celery.publishing_date import published_at

WORKER_FRESH = 12


class RedisBroker:
    """Keeps lease, workers and queues in the broker's own Redis, under the application's key prefix.

    Args:
        channel: A channel of kombu's Redis transport; its sub-queues, separator and prefix are kombu's business.
        namespace: Fleets that share a Redis database are told apart by it.
        identity: This process.
    """

    def __init__(self, channel: Any, namespace: str, identity: str) -> None:
        from redis import Redis

        self._channel = channel
        # Not kombu's client: that one prefixes some commands and not others.
        self._redis: Any = Redis(connection_pool=channel.pool)
        self._identity = identity.encode()
        self._prefix = channel.global_keyprefix
        prefix = f"{self._prefix}telemetry:celery:{namespace}:"
        self._lease, self._workers, self._queues = prefix + "lease", prefix + "workers", prefix + "queues"
        self._alive, self._fingerprint = prefix + "alive:", prefix + "fingerprint"

    def attend(self, worker: str | None, queues: Iterable[str], lease: float) -> bool:
        """Say that this process, its worker and its queues exist; whether this process is the one that reports."""
        now = time.time()
        pipe = self._redis.pipeline(transaction=False)
        if worker is not None:
            pipe.zadd(self._workers, {worker: now}).set(self._alive + worker, 1, ex=WORKER_FRESH)
        named = dict.fromkeys(queues, now)
        if named:
            pipe.zadd(self._queues, named)
        pipe.set(self._lease, self._identity, nx=True, px=int(lease * 1000)).get(self._lease)
        leads = bool(_bytes(pipe.execute()[-1]) == self._identity)
        if leads:
            self._redis.pexpire(self._lease, int(lease * 1000))
        return leads

    def workers(self) -> dict[str, bool]:
        """The worker nodes seen within the last hour, and whether they are alive."""
        names = self._known(self._workers)
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.exists(self._alive + name)
        return {name: bool(alive) for name, alive in zip(names, pipe.execute(), strict=True)}

    def queue_lengths(self) -> dict[str, int]:
        """The messages waiting in each queue that any process named, all priorities together."""
        return {name: int(self._channel._size(name)) for name in self._known(self._queues)[:MAX_QUEUES]}  # noqa: SLF001

    def unacked(self) -> int | None:
        """The messages that workers hold unacknowledged."""
        return int(self._redis.hlen(self._prefix + self._channel.unacked_key))

    def oldest(self) -> dict[str, float]:
        """The age in seconds of the oldest message of each queue that is dated; 0 for an empty queue."""
        ages = {}
        for queue in self._known(self._queues)[:MAX_QUEUES]:
            heads = [head for head in self._heads(queue) if head is not None]
            dates = [date for date in map(_published_at, heads) if date is not None]
            if dates or not heads:
                ages[queue] = time.time() - min(dates) if dates else 0.0
        return ages

    def _heads(self, queue: str) -> list[Any]:
        """The next message of each sub-queue."""
        pipe = self._redis.pipeline(transaction=False)
        for step in self._channel.priority_steps:
            pipe.lindex(self._prefix + self._channel._q_for_pri(queue, step), -1)  # noqa: SLF001
        return list(pipe.execute())

    def fingerprint(self) -> str | None:
        """Kept beside the lease, so that there is one for each lease; gone an hour after the fleet is."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(self._fingerprint, secrets.token_hex(4), nx=True)
        pipe.expire(self._fingerprint, KNOWN_FOR).get(self._fingerprint)
        return (_bytes(pipe.execute()[-1]) or b"").decode() or None

    def worker_gone(self, worker: str) -> None:
        """A worker ends normally: it is reported as 0 at once."""
        self._redis.delete(self._alive + worker)

    def release(self) -> None:
        """This process reports no longer: another may at once."""
        if _bytes(self._redis.get(self._lease)) == self._identity:
            self._redis.delete(self._lease)

    def _known(self, key: str) -> list[str]:
        """The members seen within the last hour, the latest first."""
        self._redis.zremrangebyscore(key, 0, time.time() - KNOWN_FOR)
        return [(_bytes(name) or b"").decode(errors="replace") for name in self._redis.zrange(key, 0, -1, desc=True)]


def _published_at(message: bytes) -> float | None:
    """Anybody may have written it."""
    try:
        return published_at(json.loads(message)["headers"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
