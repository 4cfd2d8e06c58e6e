"""A broker of another kind, which keeps no keys: no process sees another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from telemetry.instrumentation.celery.broker import MAX_QUEUES


class LocalBroker:
    """For a broker that keeps no keys: each process reports what it sees itself, and none sees another's end.

    Args:
        channel: A channel of one of kombu's virtual transports.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._worker: str | None = None
        self._queue_names: list[str] = []

    def attend(self, worker: str | None, queues: Iterable[str], lease: float) -> bool:
        """Every process reports."""
        self._worker, self._queue_names = worker, list(queues)[:MAX_QUEUES]
        return True

    def workers(self) -> dict[str, bool]:
        """The worker node of this process."""
        return {} if self._worker is None else {self._worker: True}

    def queue_lengths(self) -> dict[str, int]:
        """The messages waiting in each queue of this process's application."""
        return {name: int(self._channel._size(name)) for name in self._queue_names}  # noqa: SLF001

    def unacked(self) -> int | None:
        """Not known."""
        return None

    def oldest(self) -> dict[str, float]:
        """Not known."""
        return {}

    def fingerprint(self) -> str | None:
        """Not known: processes cannot agree on one."""
        return None

    def worker_gone(self, worker: str) -> None:
        """Nothing is held."""

    def release(self) -> None:
        """Nothing is held."""
