"""Putting tasks on the queues, bounded in time; tasks are named, not imported, so the app never loads their code."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.to_thread
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

import telemetry
from app.faults import QUEUE_DOWN, AppError
from app.plans import Plan, lane
from app.settings import Settings
from worker.celery_app import celery_app

_RETRY_POLICY = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5}


class Publisher:
    """Publishes tasks for users, in the lane of their plan."""

    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.publish_timeout_seconds
        # Celery's own default is to wait for the broker without end; a request cannot. Only the app sets this:
        # a worker's connection reads, and may be idle for longer.
        options = celery_app.conf.broker_transport_options
        celery_app.conf.broker_transport_options = {
            **options,
            **_RETRY_POLICY,
            "socket_timeout": self._timeout / 2,
        }

    async def publish(self, name: str, task_id: str, plan: Plan, args: list[Any], *, media: bool = False) -> None:
        """Publish a task.

        Raises:
            AppError: 503, the broker cannot be reached.
        """
        queue, priority = lane(plan, media=media)

        def send() -> None:
            celery_app.send_task(
                name,
                args,
                task_id=task_id,
                queue=queue,
                priority=priority,
                retry=True,
                retry_policy=_RETRY_POLICY,
            )

        try:
            with anyio.fail_after(self._timeout):
                await anyio.to_thread.run_sync(send, abandon_on_cancel=True)
        except (OperationalError, RedisError, OSError) as error:  # TimeoutError is an OSError
            raise AppError(QUEUE_DOWN) from error

    async def reachable(self) -> bool:
        """Return whether the broker answers."""
        try:
            with anyio.fail_after(self._timeout):
                await anyio.to_thread.run_sync(_ping, abandon_on_cancel=True)
        except (OperationalError, RedisError, OSError):
            return False
        return True


def _ping() -> None:
    with celery_app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=1)


async def killed(task_id: str) -> str | None:
    """Return why Celery gave a task up, or None if it has not, or cannot be asked."""

    def ask() -> str | None:
        result = celery_app.AsyncResult(task_id)
        return f"The task was stopped: {type(result.result).__name__}." if result.state == "FAILURE" else None

    try:
        return await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
    except (OperationalError, RedisError, OSError) as error:
        telemetry.get().errors.occurred(error, component="redis")
        return None
