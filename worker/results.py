"""The Redis result backend without the subscriptions a web process never reads; not a general result store."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend


class QuietRedisBackend(RedisBackend):
    """Publishing a task needs only the broker, and leaves no subscription behind.

    Celery's own backend subscribes the publisher to each task's result channel. Here nobody waits on that channel: the
    state of a task is read from the database, so the subscriptions would only pile up.
    """

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do nothing."""
