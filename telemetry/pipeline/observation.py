"""Runs what a collection asks the application for in a thread of its own: what hangs there delays no export."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_logger = logging.getLogger("telemetry")


class Observation:
    """One collection at a time.

    Args:
        collect: Asks the application.
    """

    def __init__(self, collect: Callable[[], None]) -> None:
        self._collect = collect
        self._thread: threading.Thread | None = None
        self._said = False
        self._starting = threading.Lock()

    def observe(self, timeout: float) -> bool:
        """Collect; whether it was done in time. While one collection hangs no other one begins."""
        thread = self._running()
        if thread is None:
            return False
        thread.join(max(0.0, timeout))
        if not thread.is_alive():
            self._said = False
            return True
        if not self._said:
            self._said = True
            _logger.warning(
                "a callback that a collection asks has not answered for %.3g s: what it observes is missing, "
                "everything else is exported",
                timeout,
            )
        return False

    def _running(self) -> threading.Thread | None:
        """The collection that is going on, or a new one; ``None`` where no thread can be had."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._collect, name="telemetry-observe", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no more threads, or the interpreter is ending
                    self._thread = None
            return self._thread
