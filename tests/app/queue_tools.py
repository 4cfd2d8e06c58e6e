"""Looks into the broker's queues and runs what is in them, in this process and thread; no worker is needed."""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty
from typing import Any

import anyio.to_thread
from celery import Celery

import worker.tasks  # noqa: F401  # registers the tasks


@dataclass(frozen=True)
class Queued:
    """A message as it waits in the broker."""

    queue: str
    priority: int
    task: str
    task_id: str
    args: list[Any]


class Queues:
    """The three queues, in the order workers empty them."""

    def __init__(self, celery_app: Celery) -> None:
        self._celery = celery_app

    def take(self) -> list[Queued]:
        """Take every message off the queues."""
        taken = []
        with self._celery.connection_for_read() as connection:
            for name, queue in self._celery.amqp.queues.items():
                simple = connection.SimpleQueue(queue(connection.default_channel), no_ack=True)
                taken += list(self._messages(name, simple))
        return taken

    def _messages(self, name: str, simple: Any) -> Any:
        while True:
            try:
                message = simple.get(block=False)
            except Empty:
                return
            headers, priority = message.headers, message.properties.get("priority", 0)
            yield Queued(name, priority, headers["task"], headers["id"], list(message.payload[0]))

    async def work(self) -> list[Any]:
        """Run every queued task to its end, retries included, and return their outcomes."""
        return await anyio.to_thread.run_sync(lambda: [self._run(message) for message in self.take()])

    def _run(self, message: Queued) -> Any:
        task = self._celery.tasks[message.task]
        return task.apply(args=message.args, task_id=message.task_id, throw=False)
