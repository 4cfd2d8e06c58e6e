"""Tells of every object that a class makes, in the place where it is made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from telemetry import guard
from telemetry.instrumentation.handle import put_back


class ConstructorHook:
    """Replaces the constructor of a class, which those derived from it call as well.

    Args:
        owner: The class.
        made: Told of each object once the constructor of ``owner`` is through, and so more than once of some.
        doing: What that is, for the log.
    """

    def __init__(self, owner: type, made: Callable[[Any], object], doing: str) -> None:
        self._owner = owner
        self._before = before = owner.__init__  # type: ignore[misc]
        self._open = True

        @functools.wraps(before)
        def constructed(instance: Any, *args: Any, **kwargs: Any) -> None:
            before(instance, *args, **kwargs)
            if self._open:
                with guard.guarded(doing):
                    made(instance)

        self._ours = constructed
        owner.__init__ = constructed  # type: ignore[misc]

    def close(self) -> None:
        """Tell no more."""
        self._open = False
        put_back(self._owner, "__init__", self._ours, self._before)
