"""What the three plans mean for queues and priorities; limits and quotas are settings, not here."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

LOWEST_PRIORITY: Final = 9


class Plan(StrEnum):
    """The plans a user can have."""

    FREE = "free"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class Lane(NamedTuple):
    """Where a task waits: its queue, and its priority inside that queue (0 is served first, 9 last)."""

    queue: str
    priority: int


_LANES: Final = {
    Plan.ENTERPRISE: Lane("high", 0),
    Plan.PRO: Lane("medium", 3),
    Plan.FREE: Lane("low", 6),
}
_MEDIA_STEP: Final = 3


def lane(plan: Plan, *, media: bool = False) -> Lane:
    """Return the lane of a plan; media waits one step behind chat in the same queue, for a person is reading."""
    queue, priority = _LANES[plan]
    return Lane(queue, min(LOWEST_PRIORITY, priority + _MEDIA_STEP)) if media else Lane(queue, priority)
