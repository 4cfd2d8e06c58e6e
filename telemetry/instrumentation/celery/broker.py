"""What the processes of a fleet tell each other through the broker, and its queues' lengths; when is not its matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

KNOWN_FOR = 3600
MAX_QUEUES = 200


class Broker(Protocol):
    """The broker as one process sees it."""

    def attend(self, worker: str | None, queues: Iterable[str], lease: float) -> bool:
        """Say that this process, its worker and its queues exist; whether this process is the one that reports."""

    def workers(self) -> dict[str, bool]:
        """The worker nodes seen within the last hour, and whether they are alive."""

    def queue_lengths(self) -> dict[str, int]:
        """The messages waiting in each queue that any process named, all priorities together."""

    def unacked(self) -> int | None:
        """The messages that workers hold unacknowledged, where the broker says so."""

    def oldest(self) -> dict[str, float]:
        """The age in seconds of the oldest message of each queue that is dated; 0 for an empty queue."""

    def fingerprint(self) -> str | None:
        """A random name of this broker, the same for the whole fleet; ``None`` where it cannot agree on one."""

    def worker_gone(self, worker: str) -> None:
        """A worker ends normally: it is reported as 0 at once."""

    def release(self) -> None:
        """This process reports no longer: another may at once."""
