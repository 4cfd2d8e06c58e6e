"""What every ``instrument…`` call returns: the measurement of one application or engine, which can be ended."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from telemetry import process

ABSENT: Any = object()
"""Stands for an attribute that an object did not have of its own."""


def put_back(owner: Any, name: str, ours: object, before: Any) -> bool:
    """Give an attribute back what it was before ours; whether it was ours still, and nobody else has replaced it since.

    Args:
        owner: An object, class or module.
        name: Its attribute.
        ours: What we put there.
        before: What was there; ``ABSENT`` for nothing of the owner's own.
    """
    if vars(owner).get(name, ABSENT) is not ours:
        return False
    if before is ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, before)
    return True


class Instrumentation:
    """One application, engine or library that is measured until ``close()``; as a context manager, for a block.

    Whoever makes one keeps it with what is measured, so that both are garbage together: while one is open and alive,
    other instrumentors' metrics of its domain are left out.

    Args:
        domain: What it measures: ``http``, ``database``, ``celery``.
        undo: Takes the hooks away; called once.
        found: Whether nobody asked for it: zero code found what is measured.
    """

    def __init__(self, domain: str, undo: Callable[[], None], *, found: bool = False) -> None:
        self.domain = domain
        self.found = found
        self._undo: Callable[[], None] | None = undo
        process.current.measured.opened(self)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is measured by it any more."""
        return self._undo is None

    def gives_way(self, *, found: bool) -> bool:
        """Whether another call for the same takes its place: what a program asks for goes before what was found.

        Args:
            found: Whether that call is not the program's own either.
        """
        if self.found and not found:
            self.close()
        return self.is_closed

    def close(self) -> None:
        """Stop measuring and take the hooks away; a second call does nothing."""
        undo, self._undo = self._undo, None
        if undo is not None:
            process.current.measured.closed(self)
            undo()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
