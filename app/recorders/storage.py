"""Records object store operations and quotas; declared in `app/catalogue/storage.py`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import telemetry
from app.catalogue import storage as catalogue
from app.catalogue.storage import Operation, QuotaLabels
from app.plans import Plan

TOP_USERS: Final = 20
OTHER: Final = "other"

Usage = tuple[str, Plan, int]

_OPERATIONS = telemetry.counter(catalogue.OPERATIONS)
_BYTES = telemetry.counter(catalogue.BYTES_TRANSFERRED)
_QUOTA = telemetry.fact(catalogue.QUOTA_USED)


def operation(name: Operation, *, bucket: str, transferred_bytes: int) -> None:
    """An operation on the object store succeeded.

    Args:
        name: What was done.
        bucket: The configured bucket.
        transferred_bytes: Bytes moved in either direction.
    """
    labels: catalogue.OperationLabels = {"operation": name, "bucket": bucket}
    _OPERATIONS.add(1, labels)
    _BYTES.add(transferred_bytes, labels)


def observe_quota_used(usage: Iterable[Usage]) -> None:
    """What every user stores now; replaces the last reading.

    Args:
        usage: User id, plan and bytes, of every user who stores anything.
    """
    _QUOTA.set_all(_top_users(usage))


def forget_readings() -> None:
    """The readings could not be taken: they become absent, which is not 0."""
    _QUOTA.forget()


def _top_users(usage: Iterable[Usage]) -> Iterator[tuple[QuotaLabels, int]]:
    """The largest users of each plan by id, and the rest of the plan as `other`."""
    by_plan: dict[Plan, list[tuple[int, str]]] = defaultdict(list)
    for user_id, plan, used in usage:
        by_plan[plan].append((used, user_id))
    for plan, users in by_plan.items():
        users.sort(key=lambda user: (-user[0], user[1]))
        for used, user_id in users[:TOP_USERS]:
            yield {"user_id": user_id, "plan": plan.value}, used
        if users[TOP_USERS:]:
            yield {"user_id": OTHER, "plan": plan.value}, sum(used for used, _ in users[TOP_USERS:])
