"""What befalls the fleet, and when: a deck shuffled by a seed, a few cards a minute at moments drawn by it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping

from celery import Celery

from support.waiting import eventually
from tests.fleet.chaos.killer import Killer
from tests.fleet.soak.fleet import SoakFleet

_SECONDS = 30.0  # within which somebody has to be there whom a card may befall


class Troubles:
    """Deals cards.

    Args:
        fleet: Whom they befall.
        seed: The same one deals the same at the same moments.
        deck: How many of each card there are; dealt out, it is shuffled anew.

    Attributes:
        befell: How often what did.
    """

    def __init__(self, fleet: SoakFleet, seed: int, deck: Mapping[str, int]) -> None:
        self._fleet = fleet
        self._draw = random.Random(seed)
        self._full = [card for card, count in deck.items() for _ in range(count)]
        self._deck: list[str] = []
        self._killer = Killer(fleet, 0, seed, 0.0, spared=fleet.spared)
        self.befell: Counter[str] = Counter()

    def run(self, cards: int, until: float) -> list[str]:
        """Deal so many cards until a moment of the monotonic clock; which they were."""
        began = time.monotonic()
        moments = sorted(self._draw.uniform(0.0, 0.8) for _ in range(cards))
        dealt = []
        for moment in moments:
            _sleep_until(began + moment * (until - began))
            dealt.append(self._deal())
        _sleep_until(until)
        return dealt

    def _deal(self) -> str:
        if not self._deck:
            self._deck = self._draw.sample(self._full, len(self._full))
        card = self._deck.pop()
        _EFFECTS[card](self)
        self.befell[card] += 1
        return card

    def kill(self, kind: str) -> None:
        """SIGKILL one of a kind.

        Raises:
            TimeoutError: If there is none to kill.
        """
        if not eventually(lambda: self._killer.kill_one(kind), _SECONDS):
            raise TimeoutError(f"there is no {kind} to kill")

    def restart_collector(self) -> None:
        """SIGTERM, and start it again."""
        self._fleet.stop_process("collector")
        self._fleet.start_process("collector")

    def restart_pools(self) -> None:
        """As `celery control pool_restart` does; a node that is on its way down or up hears nothing."""
        broker = self._fleet.environment()["CELERY_BROKER_URL"]
        with Celery(broker=broker) as app:
            app.control.pool_restart()

    def change_prices(self) -> None:
        """A file is read at the start of a process, so who is not spared starts anew."""
        self._fleet.price(round(self._draw.uniform(0.5, 5.0), 2))
        self.roll("workers")
        self.roll("app")

    def roll(self, stage: str) -> None:
        """Restart one after the other."""
        self._fleet.roll(stage)

    def rotate_logs(self) -> None:
        """Rename them."""
        self._fleet.rotate_logs()


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


_EFFECTS: Mapping[str, Callable[[Troubles], None]] = {
    "pool process killed": lambda troubles: troubles.kill("child"),
    "replica killed": lambda troubles: troubles.kill("replica"),
    "worker node killed": lambda troubles: troubles.kill("worker"),
    "beat killed": lambda troubles: troubles.kill("beat"),
    "collector killed": lambda troubles: troubles.kill("collector"),
    "collector restarted": Troubles.restart_collector,
    "replicas restarted in turn": lambda troubles: troubles.roll("app"),
    "worker nodes restarted in turn": lambda troubles: troubles.roll("workers"),
    "pools restarted": Troubles.restart_pools,
    "prices changed": Troubles.change_prices,
    "logs rotated": Troubles.rotate_logs,
}
DECK: Mapping[str, int] = {
    "pool process killed": 6,
    "replica killed": 3,
    "worker node killed": 2,
    "beat killed": 1,
    "collector killed": 3,
    "collector restarted": 2,
    "replicas restarted in turn": 1,
    "worker nodes restarted in turn": 1,
    "pools restarted": 2,
    "prices changed": 1,
    "logs rotated": 2,
}
