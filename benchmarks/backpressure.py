"""What a service feels when its collector is stopped, busy, saturated, slow or out of disk, Redis slow, boxes full.

It is loaded for a few seconds with a trouble, and as long without it before and after. The ratio of its p99 to the
geometric mean of these two is one measurement: what drifts is the same in both. Troubles take turns in an order of
chance. Crews of fresh processes are taken one after the other, and the interval is made of their means, for what is
peculiar to a process is the same in all of its turns. ``none`` is no trouble: that is noise. After each trouble every
request that the services counted themselves has to be on the collector's page.

Needs ``wrk`` (Debian's package) on the path, Go, and root for full disks. Usage:
``python -m benchmarks.backpressure [--crews 12] [--rounds 2] [--seconds 2]``; half an hour, best left alone
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from benchmarks import troubles
from benchmarks.load import load, need_wrk
from benchmarks.measure import store
from benchmarks.scale.programs import fleetload
from benchmarks.service import Counts, counts
from benchmarks.troubles import NONE, Site, State
from support.student import quantile

SETTLING = 0.7  # seconds within which the next export meets the trouble
PACKAGES = ("fastapi", "uvicorn", "celery", "redis", "requests")
Turn = Mapping[str, float]


@dataclass(frozen=True)
class Seen:
    """A turn with a trouble between two without it.

    Attributes:
        before: Without.
        turn: With.
        after: Without.
        served: Requests that were counted by the services until then, without telemetry.
        shown: Those that the collector shows.
    """

    before: Turn
    turn: Turn
    after: Turn
    served: int
    shown: int

    @property
    def without(self) -> float:
        """The p99 without it, in ms."""
        return math.sqrt(self.before["p99_ms"] * self.after["p99_ms"])

    @property
    def log_ratio(self) -> float:
        """Of the p99 with it to that without it."""
        return math.log(self.turn["p99_ms"] / self.without)


Found = dict[str, list[list[Seen]]]
"""By trouble, what was seen with each crew."""


def measure(crews: int, rounds: int, seconds: int, seed: int) -> Found:
    """Each trouble in each round of each crew.

    Args:
        crews: Sites of fresh processes.
        rounds: How often each trouble has its turn with each of them.
        seconds: Of a turn.
        seed: Of the order.
    """
    chance = random.Random(seed)
    found: Found = {name: [] for name in troubles.possible()}
    with fleetload() as flood:
        for _ in range(crews):
            own: dict[str, list[Seen]] = defaultdict(list)
            with troubles.site(flood) as site:
                for each in site.services:
                    load(each.url, each.pid, seconds)
                for _ in range(rounds):
                    for name, seen in _round(site, seconds, chance):
                        own[name].append(seen)
            for name, all_seen in own.items():
                found[name].append(all_seen)
    return found


def _round(site: Site, seconds: int, chance: random.Random) -> Iterator[tuple[str, Seen]]:
    """Every trouble once; the turn after one is the turn before the next, where they are compared with the same."""
    order = list(troubles.possible().items())
    chance.shuffle(order)
    calm: State = troubles.none
    _, before = _turn(site, calm, seconds)
    for name, trouble in order:
        if trouble.calm is not calm:
            calm = trouble.calm
            _, before = _turn(site, calm, seconds)
        _, turn = _turn(site, trouble.state, seconds)
        found, after = _turn(site, calm, seconds)
        yield name, Seen(before, turn, after, found.served, found.shown)
        before = after


def _turn(site: Site, state: State, seconds: int) -> tuple[Counts, Turn]:
    """What had been counted before it, and the turn; what comes before a load is the same for all, else p99 is not."""
    found = counts(site.collector, *site.services)
    with state(site) as service:
        time.sleep(SETTLING)
        with troubles.on_the_service_s_processor():
            return found, load(service.url, service.pid, seconds)


def noise(found: Found) -> float:
    """The factor within which a turn without any trouble is from its neighbours in 95 of 100 cases."""
    logs = [seen.log_ratio for crew in found[NONE] for seen in crew]
    return math.exp(quantile(len(logs)) * math.sqrt(fmean(each**2 for each in logs)))


def summary(crews: Sequence[Sequence[Seen]]) -> dict[str, float]:
    """Medians, and the ratio of p99 with its interval (95 %)."""
    logs = [fmean(seen.log_ratio for seen in crew) for crew in crews]
    all_seen = [seen for crew in crews for seen in crew]
    middle, error = fmean(logs), quantile(len(logs) - 1) * stdev(logs) / len(logs) ** 0.5
    return {
        "p99_ms_without": round(median(seen.without for seen in all_seen), 2),
        "p99_ms_with": round(median(seen.turn["p99_ms"] for seen in all_seen), 2),
        "ratio": round(math.exp(middle), 3),
        "least": round(math.exp(middle - error), 3),
        "most": round(math.exp(middle + error), 3),
        "turns": len(all_seen),
    }


def report(found: Found) -> dict[str, Any]:
    """All of it, for the page; requests and by how many the page was off, each as the worst that a crew came to."""
    crews = [[seen for crew in of_crew for seen in crew] for of_crew in zip(*found.values(), strict=True)]
    return {
        "noise": round(noise(found), 3),
        "requests": sum(max(seen.served for seen in crew) for crew in crews),
        "difference": sum(max(abs(seen.shown - seen.served) for seen in crew) for crew in crews),
        "troubles": {name: summary(crews) for name, crews in found.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crews", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    need_wrk()
    outcome = report(measure(chosen.crews, chosen.rounds, chosen.seconds, chosen.seed))
    store("backpressure", {**vars(chosen), **outcome}, PACKAGES)
