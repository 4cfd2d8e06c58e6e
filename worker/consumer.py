"""A worker's consumer that outlives its broker; everything else is Celery's own."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery.worker.consumer import Consumer


class SteadyConsumer(Consumer):
    """Reconnects also when the connection is lost while tasks are running."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close the lost connection and prepare for the next.

        kombu 5.7, closing a Redis connection with unacknowledged messages, tries to put them back through a client that
        is already gone; its AttributeError would end the worker. The broker gives such messages out again by itself,
        after its visibility timeout, and a task that has ended meanwhile does not run twice (see `worker.running`).
        """
        connection: Any = self.connection
        close = connection.close

        def close_anyway() -> None:
            with suppress(AttributeError):
                close()

        connection.close = close_anyway
        super().on_connection_error_after_connected(exc)
