"""When a task was published, as its message says: whoever reaches the broker may write that, or anything else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

HEADER = "telemetry_published_at"
_NEVER_BEFORE = 1_767_225_600.0  # 2026-01-01: nothing wrote the header then
_CLOCKS_DIFFER = 86_400.0


def date_message(headers: dict[str, Any]) -> None:
    """Let a message that is about to go out say when that was."""
    headers[HEADER] = time.time()


def published_at(headers: Mapping[str, Any]) -> float | None:
    """Seconds since 1970; ``None`` for a message without a date, or with one that nobody's clock can have shown."""
    said = headers.get(HEADER)
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return float(said) if _NEVER_BEFORE <= said <= time.time() + _CLOCKS_DIFFER else None
