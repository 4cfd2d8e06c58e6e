"""Who is killed when: a deck of targets shuffled by a seed, dealt to whatever of them lives at that moment."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from support.processes import children, kill, kill_group
from tests.fleet.chaos.fleet import ChaosFleet

# How many of a hundred kills fall to whom; a pool's child is there again at once, a replica takes seconds.
SHARES = {"child": 45, "collector": 25, "replica": 12, "worker": 9, "beat": 9}
_STAGES = {"replica": "app-", "worker": "worker", "child": "worker", "collector": "collector", "beat": "beat"}
# Seconds of life after which the manager does not count a death as a failed start, and a worker that loses all its
# children at once does not give up.
_SETTLED, _WORKS = 2, 4
_ORPHANS_END = 3.0


class Killer:
    """Kills one process after the other.

    Args:
        fleet: Whose processes.
        kills: How many.
        seed: The same one kills in the same order, at the same distances.
        pause: Seconds between two kills, at most.
        say: Told how far it is, every hundred kills.
        spared: Who is not killed itself, by name; its children are not spared.

    Attributes:
        killed: How many were, by kind.
    """

    def __init__(
        self,
        fleet: ChaosFleet,
        kills: int,
        seed: int,
        pause: float,
        say: Callable[[str], None] = lambda line: None,
        spared: Iterable[str] = (),
    ) -> None:
        self._fleet = fleet
        self._say = say
        self._spared = frozenset(spared)
        self._draw = random.Random(seed)
        self._pause = pause
        self._deck = [kind for kind, share in SHARES.items() for _ in range(-(-share * kills // 100))]
        self._draw.shuffle(self._deck)
        self._orphans: list[threading.Timer] = []
        self.killed: Counter[str] = Counter()

    def run(self, deadline: float) -> None:
        """Kill until the deck is empty.

        Raises:
            TimeoutError: If that takes until after the deadline.
            AssertionError: If a process does not come back.
        """
        while self._deck:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self._deck)} kills are left: {Counter(self._deck)}")
            time.sleep(self._draw.uniform(0.0, self._pause))
            for place, kind in enumerate(self._deck):
                if self.kill_one(kind):
                    del self._deck[place]
                    break
        for orphan in self._orphans:
            orphan.join()

    def _count(self, kind: str) -> None:
        self.killed[kind] += 1
        if self.killed.total() % 100 == 0:
            self._say(f"{dict(self.killed)} killed so far")

    def kill_one(self, kind: str) -> bool:
        """Kill one of a kind; whether there was one that has lived a while."""
        killed = self._kill(kind)
        if killed:
            self._count(kind)
        return killed

    def _kill(self, kind: str) -> bool:
        states = self._fleet.states()
        given_up = [state.name for state in states.values() if state.status == "FATAL"]
        assert not given_up, f"{given_up} did not come back; the end of the log says why"
        settled = [
            state.pid
            for state in states.values()
            if state.name.startswith(_STAGES[kind])
            and state.status == "RUNNING"
            and state.running_seconds >= (_WORKS if kind == "child" else _SETTLED)
            and (kind == "child" or state.name not in self._spared)
        ]
        if not settled:
            return False
        pid = self._draw.choice(settled)
        if kind == "child":
            pool = sorted(children(pid))
            return bool(pool) and kill(self._draw.choice(pool))
        if kind == "worker" and self._draw.random() < 0.5:  # its children live on for a while, without a parent
            orphan = threading.Timer(_ORPHANS_END, kill_group, [pid])
            orphan.start()
            self._orphans.append(orphan)
            return kill(pid)
        return kill_group(pid)
