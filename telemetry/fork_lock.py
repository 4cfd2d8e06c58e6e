"""A lock that a fork waits for, so that no child begins in the middle of what it protects."""

from __future__ import annotations

import os
import threading


class ForkLock:
    """Has a re-entrant lock (for signal handlers) that every fork holds, and that a forked child has free.

    A fork that has waited long enough goes on without it: the host is not held up for ever.

    Args:
        longest_wait: Seconds a fork waits for the thread that holds the lock.

    Attributes:
        lock: A plain one, which no exception of a signal handler leaves half taken; ask for it at each use.
        was_lost: Whether this process, or one it was forked from, was forked while another thread held it: what it
            protects may be half done here for ever.
    """

    def __init__(self, longest_wait: float) -> None:
        self.was_lost = False
        self._longest_wait = longest_wait
        self._held_for_fork = threading.local()
        self.lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork, after_in_parent=self._after_in_parent, after_in_child=self._after_in_child
            )

    def _before_fork(self) -> None:
        self._held_for_fork.now = self.lock.acquire(timeout=self._longest_wait)

    def _after_in_parent(self) -> None:
        if self._held_for_fork.now:
            self.lock.release()

    def _after_in_child(self) -> None:
        self.lock = threading.RLock()
        self.was_lost = self.was_lost or not self._held_for_fork.now
