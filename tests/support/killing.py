"""Ends a process by SIGKILL at a point of its own choice: before or after the n-th call of some function."""

from __future__ import annotations

import functools
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from telemetry.box import locks, storage
from telemetry.box.header import Header
from telemetry.box.segment import Segment
from telemetry.pipeline.transport import HttpTransport

# Every step between two of which something is half done: a box is made, grows, an export is prepared, sent and
# acknowledged, a dead one is taken, written to and removed.
POINTS: tuple[tuple[Any, str], ...] = (
    (Header, "make"),
    (Header, "validate"),
    (Header, "prepare"),
    (Header, "acknowledge"),
    (Segment, "add"),
    (Segment, "prepare"),
    (HttpTransport, "send"),
    (locks, "open_locked"),
    (storage, "_reserve"),
    (storage.MappedFile, "appear"),
    (storage.MappedFile, "remove"),
    (storage.DeadFile, "remove"),
    (storage.DeadFile, "close"),
    (os, "pwrite"),
    (Path, "rename"),
)


def kill_at_a_point(draw: random.Random) -> str:
    """Let the calling process be killed there sooner or later; which point it is."""
    holder, name = draw.choice(POINTS)
    calls, before = draw.randint(1, 12), draw.random() < 0.5
    setattr(holder, name, _deadly(getattr(holder, name), calls, before=before))
    return f"{getattr(holder, '__name__', holder)}.{name}"


def _deadly(function: Callable[..., Any], calls: int, *, before: bool) -> Callable[..., Any]:
    left = calls

    @functools.wraps(function)
    def deadly(*args: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **named)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return deadly
