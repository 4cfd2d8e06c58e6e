"""The life of a process as instrumentation sees it: telemetry is configured, collects, is forked, ends.

Whoever has something to do at one of these events subscribes to it, and closes the subscription when it is done.
"""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable
from multiprocessing import process as multiprocessing_process
from multiprocessing import util
from types import MethodType

from telemetry import guard

Callback = Callable[..., object]


class Subscription:
    """A callback of an event, until it is closed.

    Args:
        event: The event.
        callback: Called when it happens. A bound method does not keep its object alive.
    """

    def __init__(self, event: Event, callback: Callback) -> None:
        self._event = event
        is_method = isinstance(callback, MethodType)
        self._callback: Callable[[], Callback | None] = (
            weakref.WeakMethod(callback, lambda _: self.close()) if is_method else lambda: callback
        )

    def close(self) -> None:
        """Call it no more; a second time does nothing."""
        self._event.unsubscribe(self)

    def call(self, *args: object) -> None:
        """Tell the callback; an exception of it goes no further."""
        callback = self._callback()
        if callback is not None:
            with guard.guarded(f"telling that this process is {self._event.name}"):
                callback(*args)


class Event:
    """Something that happens to this process.

    Args:
        name: What happens, for the log.
        last_first: Whether the last subscriber is told first, as exit handlers are.
    """

    def __init__(self, name: str, *, last_first: bool = False) -> None:
        self.name = name
        self._last_first = last_first
        self._subscriptions: dict[Subscription, None] = {}

    def subscribe(self, callback: Callback) -> Subscription:
        """Call ``callback`` whenever it happens; a bound method only as long as its object lives."""
        subscription = Subscription(self, callback)
        self._subscriptions[subscription] = None
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Call it no more."""
        self._subscriptions.pop(subscription, None)

    def fire(self, *args: object) -> None:
        """It happens."""
        subscriptions = list(self._subscriptions)
        for subscription in reversed(subscriptions) if self._last_first else subscriptions:
            subscription.call(*args)


def when_gone(thing: object, callback: Callable[[], object]) -> None:
    """Call ``callback`` when ``thing`` is collected as garbage; not at the end of the process."""
    weakref.finalize(thing, callback).atexit = False


class Lifetime:
    """The events of one process.

    Attributes:
        configured: ``configure()`` was called; subscribers get the ``Telemetry``.
        collecting: The metrics are about to be collected, in whichever thread does so.
        forking: This process is about to fork; the thread that does so is the one that is told.
        forked: This process is a child that was just forked; no other code of it has run.
        ending: This process ends normally: the last moment to record something.
        ended: It does, and nothing more will be recorded.
    """

    def __init__(self) -> None:
        self.configured = Event("configured")
        self.collecting = Event("collecting")
        self.forking = Event("forking")
        self.forked = Event("forked")
        self.ending = Event("ending", last_first=True)
        self.ended = Event("ended", last_first=True)

    def watch_this_process(self) -> None:
        """Tell of forks, whoever forks, and of the end.

        Children of multiprocessing leave by ``os._exit``: their finalizers run, no ``atexit`` handler. A starting child
        clears the finalizers it inherited, and then runs the after-fork callbacks, which is where it gets its own.
        """
        os.register_at_fork(before=self.forking.fire, after_in_child=self.forked.fire)
        atexit.register(self._end)
        util.register_after_fork(self, Lifetime._end_with_finalizers)
        if multiprocessing_process.parent_process() is not None:
            self._end_with_finalizers()

    def _end_with_finalizers(self) -> None:
        util.Finalize(self, self._end, exitpriority=0)

    def _end(self) -> None:
        self.ending.fire()
        self.ended.fire()
