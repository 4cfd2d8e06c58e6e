"""What a process has one of: lifetime, configured Telemetry, a silent one for code that runs without, open hooks."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from weakref import ref

from telemetry.lifetime import Lifetime, Subscription

if TYPE_CHECKING:
    from telemetry.setup import Telemetry


class Hook(Protocol):
    """Something of a library that is measured by hooks of ours."""

    domain: str

    def close(self) -> None:
        """Stop measuring it."""


class Measured:
    """Which domains hooks of ours measure in this process, whichever Telemetry records what they see."""

    def __init__(self) -> None:
        self._hooks: defaultdict[str, dict[int, ref[Hook]]] = defaultdict(dict)

    def opened(self, hook: Hook) -> None:
        """Its domain is measured while it is alive, or until it is closed."""
        of_domain, key = self._hooks[hook.domain], id(hook)
        of_domain[key] = ref(hook, lambda gone: of_domain.pop(key, None))

    def closed(self, hook: Hook) -> None:
        """It measures nothing any more."""
        self._hooks[hook.domain].pop(id(hook), None)

    def hooks(self) -> list[Hook]:
        """Those that are open."""
        known = [known for of_domain in list(self._hooks.values()) for known in list(of_domain.values())]
        return [hook for hook in (known() for known in known) if hook is not None]

    def domains(self) -> frozenset[str]:
        """What they measure."""
        return frozenset(domain for domain, hooks in list(self._hooks.items()) if hooks)


class Process:
    """Holds them, but for the lifetime.

    Attributes:
        configured: What ``configure()`` made; ``None`` before.
        lock: Held while one of them is made.
        make_silent: Makes the one that measures for nobody.
        measured: What hooks of ours measure.
        told: What was said in the log once and is not said again.
        left_to_parent: What a forked child inherited and must neither use nor close.
        is_replaced: Whether ``configured`` is another one for a while, as in tests.
    """

    def __init__(self) -> None:
        self.configured: Telemetry | None = None
        self.lock = threading.RLock()
        self.make_silent: Callable[[], Telemetry]
        self._silent: Telemetry | None = None
        self.measured = Measured()
        self.told: set[object] = set()
        self.left_to_parent: list[object] = []
        self.is_replaced = False

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
    was_replaced, current.is_replaced = current.is_replaced, True
    lifetime.configured.fire(telemetry)
    try:
        yield telemetry
    finally:
        current.configured, current.is_replaced = before, was_replaced
