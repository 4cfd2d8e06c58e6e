"""The clock of the fleet's Python processes, which a test lets step back or ahead: a number in a file they all map."""

from __future__ import annotations

import mmap
import time
from pathlib import Path

FILE = "CHAOS_CLOCK"


class Clock:
    """The offset that all processes of a fleet share.

    Args:
        path: The file; it is made where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._offset = memoryview(mmap.mmap(file.fileno(), 8)).cast("d")

    @property
    def offset(self) -> float:
        """Seconds that the clock is ahead."""
        return self._offset[0]

    @offset.setter
    def offset(self, seconds: float) -> None:
        self._offset[0] = seconds


def install(path: Path) -> None:
    """Let this process live by that clock from now on."""
    clock, seconds, nanoseconds = Clock(path), time.time, time.time_ns
    time.time = lambda: seconds() + clock.offset
    time.time_ns = lambda: nanoseconds() + int(clock.offset * 1e9)
