"""What the fleet's processes and files take at a moment; who they are is asked of the manager."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.manager import State
from support.processes import children
from tests.fleet.chaos.fleet import ChaosFleet
from tests.fleet.soak.descriptors import Connections
from tests.support.beside import beside

MEMORY, DESCRIPTORS = "MiB", "descriptors"
_ROLES = {"app-": "app replica", "worker": "worker node", "beat": "beat", "collector": "collector"}
POOL = "pool process"
ROLES = (*_ROLES.values(), POOL)
_BLOCK = 512  # bytes, of `st_blocks`
_MIB = 1024**2


@dataclass(frozen=True)
class Life:
    """One process from its start to its end.

    Attributes:
        role: What it is in the fleet.
        pid: Its id.
        began: When, in the kernel's ticks: an id may come again.
    """

    role: str
    pid: int
    began: int


@dataclass(frozen=True)
class Reading:
    """What a process took at a moment.

    Attributes:
        moment: Seconds since the census began.
        age: Seconds since it was first seen.
        taken: By unit.
        kinds: What its descriptors are.
    """

    moment: float
    age: float
    taken: dict[str, float]
    kinds: Counter[str]


class Census:
    """Looks again and again.

    Args:
        fleet: Whose processes.
        between: Seconds between two looks.

    Attributes:
        lives: What each process took, in order of time.
        files: What the files took, by what they are.
    """

    def __init__(self, fleet: ChaosFleet, between: float) -> None:
        self._fleet = fleet
        self._between = between
        self._listeners = {port: name.removesuffix("_PORT") for name, port in fleet.settings.ports().items()}
        self._began = time.monotonic()
        self._born: dict[Life, float] = {}
        self.lives: dict[Life, list[Reading]] = defaultdict(list)
        self.files: dict[str, list[tuple[float, float]]] = defaultdict(list)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """It looks for the length of a block."""
        with beside(self._run):
            yield

    def readings(self) -> list[list[Any]]:
        """All that was seen of processes, for who wants to look closer: role, id, moment, age, and what was taken."""
        return [
            [life.role, life.pid, each.moment, each.age, each.taken, each.kinds]
            for life, own in self.lives.items()
            for each in own
        ]

    def _run(self, over: threading.Event) -> None:
        while not over.wait(self._between):
            moment = time.monotonic() - self._began
            connections = Connections(self._listeners)
            for state in self._fleet.states().values():
                self._look_at(state, moment, connections)
            self._look_at_files(moment)

    def _look_at(self, state: State, moment: float, connections: Connections) -> None:
        role = next((role for start, role in _ROLES.items() if state.name.startswith(start)), None)
        if role is None or not state.pid:
            return
        self._read(role, state.pid, moment, connections)
        if role == "worker node":
            for child in children(state.pid):
                self._read(POOL, child, moment, connections)

    def _read(self, role: str, pid: int, moment: float, connections: Connections) -> None:
        with suppress(OSError, ValueError):
            life = Life(role, pid, _began(pid))
            age = moment - self._born.setdefault(life, moment)
            kinds = connections.of(pid)
            taken = {MEMORY: _memory(pid), DESCRIPTORS: float(kinds.total())}
            self.lives[life].append(Reading(moment, age, taken, kinds))

    def _look_at_files(self, moment: float) -> None:
        boxes = _sizes(self._fleet.settings.boxes)
        self.files["boxes, files"].append((moment, len(boxes)))
        self.files["boxes, MiB"].append((moment, sum(boxes) / _MIB))
        self.files["collector's store, MiB"].append(
            (moment, sum(_sizes(self._fleet.settings.data / "collector")) / _MIB)
        )


def _began(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def _memory(pid: int) -> float:
    """MiB that are not pages of files: what the process allocated, shared with its parent or not, and its box."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(line[1]) for line in lines if line[0] in {"RssAnon:", "RssShmem:"}) / 1024


def _sizes(folder: Path) -> list[int]:
    """Bytes on disk of each file of a folder; files come and go meanwhile."""
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                found.append(path.stat().st_blocks * _BLOCK)
    return found
