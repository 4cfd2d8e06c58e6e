"""A soak: minutes of traffic and troubles, each with a cut at its end, and what they found."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from deploy.settings import ROOT
from support.exposition import Samples, scrape
from support.waiting import eventually
from tests.fleet.chaos import asked, compared
from tests.fleet.rehearsal import clients
from tests.fleet.soak.census import Census
from tests.fleet.soak.fleet import SoakFleet
from tests.fleet.soak.ledger import Ledger
from tests.fleet.soak.troubles import Troubles
from tests.fleet.soak.users import Users

_SETTLED = 90.0  # seconds within which everything that was counted has arrived
_SENDERS = ("beat", "workers", "app")


@dataclass(frozen=True)
class Minute:
    """What was found at the end of a minute, while users held still.

    Attributes:
        befell: What befell the fleet in it.
        requests: How many all users were answered so far.
        events: How many all processes counted so far.
        in_flight: Of these, how many were under way when their process was killed.
        samples: How many samples of the collector's page were compared.
        differ: How many of them were not what was counted, when the patience was over.
        seconds: How long it took until all were.
        wrong: Some of those that differ, in words.
    """

    befell: list[str]
    requests: int
    events: int
    in_flight: int
    samples: int
    differ: int
    seconds: float
    wrong: list[str]


class Soak:
    """One run.

    Args:
        fleet: It runs already.
        seed: Of users and troubles.
        deck: What befalls it.
        look: Seconds between two looks at memory and descriptors.
        say: Told what is found, minute by minute.
    """

    def __init__(
        self, fleet: SoakFleet, seed: int, deck: Mapping[str, int], look: float, say: Callable[[str], None]
    ) -> None:
        self._fleet = fleet
        self._say = say
        self._ledger = Ledger(fleet.truth)
        self._began = time.monotonic()
        self.users = Users(fleet.settings.url("NGINX_PORT"), fleet.secrets()["ADMIN_TOKEN"], seed)
        self.troubles = Troubles(fleet, seed, deck)
        self.census = Census(fleet, look)
        self.minutes: list[Minute] = []
        self.left: list[str] = []
        self.fallen: list[dict[str, Any]] = []

    def run(self, minutes: int, seconds: float, cards: int) -> None:
        """Let it happen, and stop at last all that counts.

        Args:
            minutes: How many times.
            seconds: How long each is, without the cut.
            cards: How many troubles each has.
        """
        with self.users.acting(), self.census.taken():
            for _ in range(minutes):
                dealt = self.troubles.run(cards, time.monotonic() + seconds)
                with self.users.held():
                    self._note(self._cut(dealt))
        with _stopped(self._fleet):
            self._note(self._cut(["everything stopped"]))
            self.left = self._fleet.boxes_left()
            self.fallen = self._fallen()

    def clients(self) -> list[str]:
        """Where the collector does not show what clients saw, in words."""
        replicas = self.troubles.befell["replica killed"]
        rows = clients.rows(self.users.answers, self._page(), replicas)
        return [
            f"{row.what}: {row.counted:g}, clients saw {row.least:g} to {row.most:g}"
            for row in rows
            if not row.is_right
        ]

    def _note(self, minute: Minute) -> None:
        self.minutes.append(minute)
        text = "exact" if not minute.differ else f"{minute.differ} DIFFER: {minute.wrong}"
        self._say(
            f"{time.monotonic() - self._began:6.0f} s | {minute.requests:>6} requests | {minute.events:>8} events | "
            f"{minute.samples:>5} samples {text} after {minute.seconds:.1f} s | {', '.join(minute.befell)}"
        )

    def _cut(self, befell: list[str]) -> Minute:
        began = time.monotonic()
        wrong, samples = eventually(self._differences, _SETTLED, wanted=lambda found: not found[0])
        return Minute(
            befell=befell,
            requests=self.users.answers.total(),
            events=self._ledger.events,
            in_flight=self._ledger.in_flight,
            samples=samples,
            differ=len(wrong),
            seconds=round(time.monotonic() - began, 1),
            wrong=wrong[:5],
        )

    def _differences(self) -> tuple[list[str], int]:
        """The truth is read before the page: what is counted in between makes them differ until the next look."""
        self._ledger.read_on()
        try:
            return compared.against(self._ledger.samples(), self._page())
        except httpx.HTTPError as error:
            return [f"the collector's page: {error}"], 0

    def _page(self) -> Samples:
        return scrape(self._fleet.settings.url("OTELCOL_TOTALS_PORT", "/metrics"))

    def _fallen(self) -> list[dict[str, Any]]:
        """Series that Prometheus saw fall."""
        names = {name for name, _ in self._page()}
        return asked.resets(self._fleet.settings.url("PROMETHEUS_PORT"), names, time.monotonic() - self._began + 60)

    def found(self) -> dict[str, Any]:
        """What is stored of it, but for the slopes."""
        return {
            "seconds": round(time.monotonic() - self._began),
            "befell": dict(sorted(self.troubles.befell.items())),
            "minutes": [asdict(minute) for minute in self.minutes],
            "processes": len(self.census.lives),
            "clients": self.clients(),
            "boxes_left": len(self.left),
            "series_fallen": len(self.fallen),
        }


@contextmanager
def _stopped(fleet: SoakFleet) -> Iterator[None]:
    """What counts is stopped, and what it left is delivered, before the block.

    Raises:
        RuntimeError: If something cannot be delivered.
    """
    stages = {process.name: process.stage for process in fleet.processes()}
    for name in ("nginx", *(name for stage in _SENDERS for name, own in stages.items() if own == stage)):
        fleet.stop_process(name)
    command = [sys.executable, "-m", "telemetry", "deliver", "--timeout", "60"]
    done = subprocess.run(
        command, cwd=ROOT, env=fleet.environment(), capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise RuntimeError(f"not everything was delivered: {done.stdout}{done.stderr}")
    yield
