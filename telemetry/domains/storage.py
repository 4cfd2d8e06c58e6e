"""Records object store operations and quotas; declared in ``catalogue/storage.py``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import cast

from telemetry.catalogue import storage as catalogue
from telemetry.catalogue.storage import OperationLabels, QuotaLabels
from telemetry.metrics.catalogue_instruments import Instruments
from telemetry.steps import complete

TOP_USERS = 20
OTHER = "other"

Usage = tuple[str, str, int]


class StorageRecorder:
    """Operations as they succeed, and what users store as read from the database."""

    def __init__(self, instruments: Instruments) -> None:
        self._operations = instruments.counter(catalogue.OPERATIONS)
        self._bytes = instruments.counter(catalogue.BYTES_TRANSFERRED)
        self._quota = instruments.fact(catalogue.QUOTA_USED)

    def operation(self, operation: str, *, bucket: str, transferred_bytes: int = 0) -> None:
        """An operation on the object store succeeded.

        Args:
            operation: ``upload``, ``download``, ``delete``, ``list`` or ``stat``.
            bucket: The configured bucket.
            transferred_bytes: Bytes moved in either direction.
        """
        labels = cast("OperationLabels", {"operation": operation, "bucket": bucket})
        complete([lambda: self._operations.add(1, labels), lambda: self._bytes.add(transferred_bytes, labels)])

    def observe_quota_used(self, usage: Iterable[Usage]) -> None:
        """What every user stores now; replaces the last reading.

        Args:
            usage: User id, plan and bytes, of every user who stores anything.
        """
        self._quota.set_all((cast("QuotaLabels", labels), used) for labels, used in _top_users(usage))

    def forget_readings(self) -> None:
        """The readings could not be taken: they become absent, which is not 0."""
        self._quota.forget()


def _top_users(usage: Iterable[Usage]) -> Iterator[tuple[dict[str, str], int]]:
    """The largest users of each plan by id, and the rest of the plan as `other`."""
    by_plan: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for user_id, plan, used in usage:
        by_plan[plan].append((used, user_id))
    for plan, users in by_plan.items():
        users.sort(key=lambda user: (-user[0], user[1]))
        for used, user_id in users[:TOP_USERS]:
            yield {"user_id": user_id, "plan": plan}, used
        if users[TOP_USERS:]:
            yield {"user_id": OTHER, "plan": plan}, sum(used for used, _ in users[TOP_USERS:])
