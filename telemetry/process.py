"""What a process has one of: its lifetime, its configured Telemetry, and a silent one for code that runs without."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from telemetry.lifetime import Lifetime, Subscription

if TYPE_CHECKING:
    from telemetry.setup import Telemetry


class Process:
    """Holds them, but for the lifetime.

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


lifetime = Lifetime()
current = Process()
lifetime.forked.subscribe(current.after_fork_in_child)


def when_configured(callback: Callable[[Telemetry], object]) -> Subscription:
    """Call ``callback`` with the configured telemetry: now, if there is one, and whenever there is another."""
    subscription = lifetime.configured.subscribe(callback)
    if current.configured is not None:
        subscription.call(current.configured)
    return subscription


def get() -> Telemetry:
    """The configured telemetry of this process, or a silent one where ``configure()`` was never called."""
    return current.configured or current.silent()


@contextmanager
def replaced(telemetry: Telemetry) -> Iterator[Telemetry]:
    """Let ``get()`` return ``telemetry`` for the length of a block."""
    before, current.configured = current.configured, telemetry
    lifetime.configured.fire(telemetry)
    try:
        yield telemetry
    finally:
        current.configured = before
