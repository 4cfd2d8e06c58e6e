"""Processes of a scenario that record in bursts, so that there are moments at which the truth stands still."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.accuracy.programs import IN_BURSTS, NOTED, Notes
from tests.accuracy.systems.base import System
from tests.support.processes import end, line

CODE = NOTED + IN_BURSTS + "flush(); say('begun'); in_bursts(noted)"


class Senders:
    """Several, all told the same; they stand still at first.

    Args:
        system: What they record with.
        notes: Where they note each event.
        count: How many.
    """

    def __init__(self, system: System, notes: Notes, count: int) -> None:
        self._system = system
        self._notes = notes
        self._processes: list[subprocess.Popen[str]] = []
        self.grow(count)

    def grow(self, count: int = 1) -> None:
        """Start more, which stand still."""
        new = [self._system.start(CODE, **self._notes.variables) for _ in range(count)]
        self._processes += new
        assert [line(process) for process in new] == ["begun"] * count

    def go(self) -> None:
        """Record."""
        self._tell()

    def stand_still(self) -> None:
        """Stop recording, and export what was recorded."""
        self._tell()
        for process in self._processes:
            assert line(process) == "still"

    def kill_one(self) -> None:
        """SIGKILL the one that has lived longest."""
        end(self._processes.pop(0))

    def close(self) -> None:
        """Kill them all."""
        for process in self._processes:
            end(process)

    def _tell(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()


@contextmanager
def started(system: System, notes: Notes, count: int = 3) -> Iterator[Senders]:
    """Senders that do not survive the block."""
    senders = Senders(system, notes, count)
    try:
        yield senders
    finally:
        senders.close()
