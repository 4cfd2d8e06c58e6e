"""Runs what a collection asks the application for in a thread of its own: what hangs there delays no export."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_logger = logging.getLogger("telemetry")


class Observation:
    """One collection at a time, in a thread that waits for the next one until it is closed.

    It is kept rather than started for each: while an interpreter ends, Python 3.12 and later start no thread, and what
    observable instruments counted since the last export would be lost.

    Args:
        collect: Asks the application.
    """

    def __init__(self, collect: Callable[[], None]) -> None:
        self._collect = collect
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._begun = self._done = 0
        self._closed = self._said = False

    def start(self) -> None:
        """Have the thread, so that the end of the process finds it; a second time does nothing."""
        with self._changed:
            self._live()

    def close(self) -> None:
        """Let the thread end; a collection that is going on is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def observe(self, timeout: float) -> bool:
        """Collect; whether it was done in time. While one collection hangs no other one begins."""
        with self._changed:
            if not self._live():
                return False
            if self._begun == self._done:
                self._begun += 1
                self._changed.notify_all()
            wanted = self._begun
            if self._changed.wait_for(lambda: self._done >= wanted, max(0.0, timeout)):
                self._said = False
                return True
            self._hangs(timeout)
            return False

    def _live(self) -> bool:
        """Whether there is a thread, at the latest from now on."""
        if self._closed:
            return False
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="telemetry-observe", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is ending
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        while self._is_asked():
            try:
                self._collect()
            finally:
                with self._changed:
                    self._done = self._begun
                    self._changed.notify_all()

    def _is_asked(self) -> bool:
        """Waits until a collection is wanted, or this is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._begun > self._done)
            return self._begun > self._done

    def _hangs(self, timeout: float) -> None:
        if not self._said:
            self._said = True
            _logger.warning(
                "a callback that a collection asks has not answered for %.3g s: what it observes is missing, "
                "everything else is exported",
                timeout,
            )
