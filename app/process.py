"""One lazily made object per process, safe under fork; not a general dependency container."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Call it to get what `factory` makes once in each process: a forked child shares no connection with its parent."""

    def __init__(self, factory: Callable[[], T]) -> None:
        self._factory = factory
        self._made: dict[int, T] = {}
        self._locks: dict[int, Lock] = {}

    def __call__(self) -> T:
        """Return this process's object, making it at the first call."""
        pid = os.getpid()
        if pid not in self._made:
            # One lock per process: a child must not inherit one that its parent's thread was holding.
            with self._locks.setdefault(pid, Lock()):
                if pid not in self._made:
                    self._made[pid] = self._factory()
        return self._made[pid]

    def forget(self) -> None:
        """Drop what was made, so that the next call reads the settings again."""
        self._made.clear()
