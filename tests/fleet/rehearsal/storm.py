"""Who is killed when, and how: a deck shuffled by a seed; a target is a command, whose container speaks last words, or a container."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from deploy.rehearsal.fleet import Rehearsal
from deploy.rehearsal.namespaces import Box
from support.processes import children, kill
from tests.fleet.rehearsal.restarts import Restarts

CHILD, COMMAND, CONTAINER = "pool process", "command", "container"
# How many of a hundred kills fall to what.
SHARES = {
    (CHILD, "worker"): 38,
    (COMMAND, "worker"): 8,
    (CONTAINER, "worker"): 8,
    (COMMAND, "app"): 9,
    (CONTAINER, "app"): 9,
    (CONTAINER, "otel-collector"): 16,
    (COMMAND, "beat"): 3,
    (CONTAINER, "beat"): 3,
    (CONTAINER, "redis"): 6,
}
# Seconds of life: a container that is younger works on nothing yet, and a worker that loses all its pool at once gives up.
_WORKS = 8.0


class Storm:
    """Kills one after the other.

    Args:
        rehearsal: In whose containers.
        restarts: Knows how long they have lived.
        seed: The same one kills the same in the same order, at the same distances; which moment that is, is chance.
        pause: Seconds between two kills, at most.

    Attributes:
        killed: How often what was.
    """

    def __init__(self, rehearsal: Rehearsal, restarts: Restarts, seed: int, pause: float) -> None:
        self._rehearsal = rehearsal
        self._restarts = restarts
        self._draw = random.Random(seed)
        self._pause = pause
        self._deck: list[tuple[str, str]] = []
        self.killed: Counter[tuple[str, str]] = Counter()

    def rage(self, seconds: float) -> None:
        """Kill for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(self._draw.uniform(0.0, self._pause))
            self._kill_one()

    def _kill_one(self) -> None:
        """The first card of the deck for which somebody is there."""
        if not self._deck:
            self._deck = [card for card, share in SHARES.items() for _ in range(share)]
            self._draw.shuffle(self._deck)
        for place, (kind, service) in enumerate(self._deck):
            settled = [box for box in self._rehearsal.of(service) if self._works(box)]
            if settled and _KILLS[kind](self._draw.choice(settled), self._draw):
                del self._deck[place]
                self.killed[kind, service] += 1
                return

    def _works(self, box: Box) -> bool:
        return box.ended(0) is None and self._restarts.seconds_of_life(box.name) >= _WORKS


def _kill_child(box: Box, draw: random.Random) -> bool:
    pool = sorted(child for command in children(box.first()) for child in children(command))
    return bool(pool) and kill(draw.choice(pool))


def _kill_command(box: Box, _draw: random.Random) -> bool:
    """What it started lives on until its last words are spoken."""
    killed = [kill(pid) for pid in children(box.first())]
    return any(killed)


def _kill_container(box: Box, _draw: random.Random) -> bool:
    return kill(box.first())


_KILLS: dict[str, Callable[[Box, random.Random], bool]] = {
    CHILD: _kill_child,
    COMMAND: _kill_command,
    CONTAINER: _kill_container,
}
