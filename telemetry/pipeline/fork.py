"""The fork contract: a child starts empty, with its own identity, no inherited lock and no inherited thread."""

from __future__ import annotations

import atexit
import os
import weakref
from multiprocessing import process, util
from typing import Protocol

from telemetry import guard


class ForkAware(Protocol):
    """Something that must forget what it inherited, and flush when a forked child ends normally."""

    def after_fork_in_child(self) -> None:
        """Forget everything inherited; called in the child, before any other code of it."""

    def shutdown(self) -> None:
        """Deliver what the child recorded; called when the child ends normally."""


_aware: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def register(aware: ForkAware) -> None:
    """Tell ``aware`` about every fork from now on, whoever forks."""
    _aware.add(aware)


def _after_fork_in_child() -> None:
    for aware in list(_aware):
        with guard.guarded("starting anew in a forked process"):
            aware.after_fork_in_child()
            _flush_when_a_multiprocessing_child_ends(aware)


def flush_at_exit(aware: ForkAware) -> None:
    """Flush when the calling process ends normally, be it a child of multiprocessing that no fork hook prepared."""
    atexit.register(aware.shutdown)
    if process.parent_process() is not None:
        util.Finalize(aware, aware.shutdown, exitpriority=0)


def _flush_when_a_multiprocessing_child_ends(aware: ForkAware) -> None:
    """Children of multiprocessing and billiard leave by ``os._exit``: their finalizers run, no ``atexit`` handler.

    The finalizer is registered from an after-fork callback, because a starting child first clears the finalizers
    it inherited and then runs these callbacks.
    """
    util.register_after_fork(aware, lambda own: util.Finalize(own, own.shutdown, exitpriority=0))


os.register_at_fork(after_in_child=_after_fork_in_child)
