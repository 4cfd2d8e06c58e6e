"""Waiting for a condition that another thread or process makes true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.02  # seconds between two looks at the least; a look that takes longer is followed by a pause as long


def eventually(read: Callable[[], T], seconds: float = 30.0, *, wanted: Callable[[T], object] = bool) -> T:
    """The first value that is wanted, or the last one when the time is over.

    Args:
        read: Looked at again and again; without ``wanted``, until what it returns is true.
        seconds: How long that may take.
        wanted: Says of a value whether the wait is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        value = read()
        now = time.monotonic()
        if wanted(value) or now > deadline:
            return value
        time.sleep(max(_PAUSE, now - began))
