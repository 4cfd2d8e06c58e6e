"""What every ``instrument…`` call returns: the measurement of one application or engine, which can be ended."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from telemetry import process


class Instrumentation:
    """One application, engine or library that is measured until ``close()``; as a context manager, for a block.

    Whoever makes one keeps it with what is measured, so that both are garbage together: while one is open and alive,
    other instrumentors' metrics of its domain are left out.

    Args:
        domain: What it measures: ``http``, ``database``, ``celery``.
        undo: Takes the hooks away; called once.
    """

    def __init__(self, domain: str, undo: Callable[[], None]) -> None:
        self.domain = domain
        self._undo: Callable[[], None] | None = undo
        process.current.measured.opened(self)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is measured by it any more."""
        return self._undo is None

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
