"""Something that is being found out in a thread while other things are; whoever needs it waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class UnfinishedError(Exception):
    """It is not known in time."""


class Later(Generic[T]):
    """Begins at once; its thread does not keep the process alive.

    Args:
        find: Finds it out.
    """

    def __init__(self, find: Callable[[], T]) -> None:
        self._find = find
        self._found: T
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = self._find()
        except BaseException as error:
            self._error = error

    def get(self, seconds: float | None = None) -> T:
        """What was found.

        Raises:
            UnfinishedError: If it is not there within these seconds.
            Exception: What finding it out has raised.
        """
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise UnfinishedError
        if self._error is not None:
            raise self._error
        return self._found
