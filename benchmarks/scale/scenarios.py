"""The same traffic to each of the peers, steady and while things happen to it: what is counted, and what it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scale import peers
from benchmarks.scale.programs import UnavailableError, fleet, said

SENDERS, POINTS, SERIES, RATE = 30, 20, 40, 3000
_STILL = 3  # seconds that a count stands still before it is believed
_PATIENCE = 20


@dataclass(frozen=True)
class Scenario:
    """What happens.

    Attributes:
        flags: Of the load.
        kills: Seconds after which the aggregator is killed.
    """

    flags: Mapping[str, object]
    kills: tuple[float, ...] = ()


def scenarios(seconds: int) -> dict[str, Scenario]:
    """Those that take so many seconds each."""
    return {
        "steady": Scenario({"for_": f"{seconds}s"}),
        "senders replaced every second": Scenario({"for_": f"{seconds}s", "life": "1s"}),
        "aggregator SIGKILLed twice": Scenario({"for_": f"{seconds}s"}, (seconds / 3, seconds / 3)),
        "5 % of the answers lost": Scenario({"for_": f"{seconds}s", "lose": 0.05}),
    }


def idle(seconds: int, minutes: float) -> Scenario:
    """Nothing comes for minutes between two times of traffic."""
    return Scenario({"for_": f"{seconds}s", "idle": f"{minutes * 60:.0f}s", "rate": RATE / 3})


def run(program: Path, kind: type[peers.Peer], scenario: Scenario, directory: Path) -> dict[str, Any]:
    """One peer in one scenario: events sent and counted, series, CPU per point, memory. Where it cannot be had, why."""
    try:
        peer = kind(directory)
    except UnavailableError as error:
        return {"absent": str(error)}
    try:
        return _measured(program, peer, scenario)
    finally:
        peer.close()


def _measured(program: Path, peer: peers.Peer, scenario: Scenario) -> dict[str, Any]:
    same = {"senders": SENDERS, "points": POINTS, "series": SERIES, "rate": RATE}
    time.sleep(2)  # for two intervals of whoever has some
    before, own = peer.cpu(), {"numbered": peer.numbered, "temporality": peer.temporality}
    senders = fleet(program, url=peer.takes, **{**same, **scenario.flags}, **own)
    for pause in scenario.kills:
        time.sleep(pause)
        peer.kill_aggregator()
    told = said(senders)
    time.sleep(1)  # for what is handed on at intervals
    spent, memory = peer.cpu() - before, peer.memory()  # before anybody asks, which costs, too
    counted = _stands(peer)
    return {
        "events": told["events"],
        "counted": round(counted, 1),
        "senders": told["senders_in_all"],
        "answers_lost": told["answers_lost"],
        "given_up": told["given_up"],
        "series": peer.series(),
        "cpu_us_per_point": round(spent * 1e6 / told["events"], 1),
        "rss_mib": round(memory, 1),
    }


def _stands(peer: peers.Peer) -> float:
    """What is counted once it has stood still."""
    seen, since, end = -1.0, time.monotonic(), time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        now = peer.counted()
        if now != seen:
            seen, since = now, time.monotonic()
        if time.monotonic() - since > _STILL:
            break
        time.sleep(0.5)
    return seen


class Beside:
    """Measurements at the same time as others: of counts, memory and processor time of each process, not of waiting.

    Args:
        measure: What is measured, by name.
    """

    def __init__(self, measure: Mapping[str, Callable[[], dict[str, Any]]]) -> None:
        self._found: dict[str, dict[str, Any]] = {name: {} for name in measure}
        self._threads = [threading.Thread(target=self._run, args=each, daemon=True) for each in measure.items()]
        for thread in self._threads:
            thread.start()

    def _run(self, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        self._found[name] = measure()

    def join(self) -> dict[str, dict[str, Any]]:
        """What was found."""
        for thread in self._threads:
            thread.join()
        return self._found
