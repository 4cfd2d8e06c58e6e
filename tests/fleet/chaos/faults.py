"""What goes wrong besides: answers that are lost, exports that are refused or hang, a full disk, a clock that steps."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fleet.chaos.clock import Clock
from tests.support.beside import beside
from tests.support.flaky_proxy import Mode

STEP = 3600.0  # seconds that the clock is off, at most
_WEIGHTS: dict[Mode, int] = {"pass": 80, "lose answers": 10, "503": 8, "hang": 2}


class Fates:
    """What becomes of an export, one after the other.

    Attributes:
        given: How many of them had which.
    """

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self.given: Counter[str] = Counter()

    def __call__(self) -> Mode:
        """The next one."""
        (mode,) = self._draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        self.given[mode] += 1
        return mode


class Disk:
    """A small file system of its own that can be filled.

    Args:
        path: Where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._filler = path / "filler"

    @contextmanager
    def mounted(self) -> Iterator[Disk]:
        """It is there for the length of a block."""
        self._path.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(self._path)], check=True)
        try:
            yield self
        finally:
            subprocess.run(["umount", str(self._path)], check=True)

    def fill(self) -> None:
        """Leave no byte free."""
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT)
        try:
            for size in (1 << 16, 1 << 12):
                try:
                    while True:
                        os.write(file, bytes(size))
                except OSError:
                    continue
        finally:
            os.close(file)

    def free(self) -> None:
        """Leave as much free as before."""
        self._filler.unlink(missing_ok=True)


class Weather:
    """Fills the disk and moves the clock, again and again, until it is stopped.

    Args:
        disk: What is filled; ``None`` where nothing can be mounted.
        clock: What steps.
        seed: The same one does the same.
        calm: Seconds between two of these, at most.

    Attributes:
        events: How often what happened.
    """

    def __init__(self, disk: Disk | None, clock: Clock, seed: int, calm: float) -> None:
        self._disk, self._clock, self._calm = disk, clock, calm
        self._draw = random.Random(seed)
        self.events: Counter[str] = Counter()

    @contextmanager
    def blowing(self) -> Iterator[None]:
        """It does so for the length of a block; the disk has room at its end."""
        with beside(self._run):
            yield

    def _run(self, over: threading.Event) -> None:
        while not over.wait(self._draw.uniform(self._calm / 3, self._calm)):
            before, self._clock.offset = self._clock.offset, self._draw.uniform(-STEP, STEP)
            self.events["clock back" if self._clock.offset < before else "clock ahead"] += 1
            if self._disk is not None:
                self._disk.fill()
                self.events["disk full"] += 1
                over.wait(self._draw.uniform(0.5, 3.0))
                self._disk.free()
