"""What this process has one of: its configured Telemetry, and the silent one of code that runs without."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry.setup import Telemetry


class Process:
    """Holds them.

    Attributes:
        configured: What ``configure()`` made; ``None`` before.
        lock: Held while one of them is made.
        make_silent: Makes the one that measures for nobody.
    """

    def __init__(self) -> None:
        self.configured: Telemetry | None = None
        self.lock = threading.RLock()
        self.make_silent: Callable[[], Telemetry]
        self._silent: Telemetry | None = None

    def silent(self) -> Telemetry:
        """The one that measures for nobody."""
        with self.lock:
            if self._silent is None:
                self._silent = self.make_silent()
            return self._silent

    def after_fork_in_child(self) -> None:
        """Another thread of the parent may have held the lock."""
        self.lock = threading.RLock()


current = Process()


def get() -> Telemetry:
    """The configured telemetry of this process, or a silent one where ``configure()`` was never called."""
    return current.configured or current.silent()


@contextmanager
def replaced(telemetry: Telemetry) -> Iterator[Telemetry]:
    """Let ``get()`` return ``telemetry`` for the length of a block."""
    before, current.configured = current.configured, telemetry
    try:
        yield telemetry
    finally:
        current.configured = before
