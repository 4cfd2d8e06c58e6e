"""What all processes told so far, added up while it is told: each reading takes only what was appended since the last one."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fleet.chaos import truth

_INFINITY = float("inf")


@dataclass
class Sum:
    """What one series was given, by the two phases of an event.

    Attributes:
        bounds: Of a histogram; ``None`` for a counter.
        counts: How many events began, and how many were done.
        amounts: What they add up to.
        buckets: How many fell into each, not added up.
    """

    bounds: tuple[float, ...] | None
    counts: list[int] = field(default_factory=lambda: [0, 0])
    amounts: list[float] = field(default_factory=lambda: [0.0, 0.0])
    buckets: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.buckets = [[0] * (len(self.bounds or ()) + 1) for _ in range(2)]

    def add(self, phase: int, amount: float) -> None:
        """One phase of one event."""
        self.counts[phase] += 1
        self.amounts[phase] += amount
        if self.bounds is not None:
            self.buckets[phase][bisect_left(self.bounds, amount)] += 1


class _Teller:
    """The files of one process.

    Args:
        events: The file of its events; that of its series is beside it.
    """

    def __init__(self, events: Path) -> None:
        self._paths = (events.with_suffix(".series"), events)
        self._read = [0, 0]
        self._series: dict[int, Sum] = {}

    def read_on(self, sums: dict[truth.Key, Sum]) -> None:
        """Events first: a series is named before its first event."""
        events = self._appended(1, truth.EVENT.size)
        for line in self._appended(0, 1).splitlines():
            number, metric, labels, bounds = json.loads(line)
            key = metric, tuple(sorted((name, value) for name, value in labels))
            self._series[number] = sums.setdefault(key, Sum(None if bounds is None else tuple(bounds)))
        for phase, number, amount in truth.EVENT.iter_unpack(events):
            self._series[number].add(phase, amount)

    def _appended(self, which: int, size: int) -> bytes:
        with self._paths[which].open("rb") as file:
            file.seek(self._read[which])
            new = file.read()
        whole = len(new) - len(new) % size
        self._read[which] += whole
        return new[:whole]


class Ledger:
    """The truth of a fleet.

    Args:
        directory: Where its processes tell.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._tellers: dict[Path, _Teller] = {}
        self._sums: dict[truth.Key, Sum] = {}

    def read_on(self) -> None:
        """Take what was told since the last time."""
        for path in self._directory.glob("*.events"):
            self._tellers.setdefault(path, _Teller(path)).read_on(self._sums)

    @property
    def events(self) -> int:
        """How many were done."""
        return sum(each.counts[truth.DONE] for each in self._sums.values())

    @property
    def in_flight(self) -> int:
        """How many were begun and not done: their process was killed in the middle of them, or is in it."""
        return sum(each.counts[truth.BEGUN] for each in self._sums.values()) - self.events

    def samples(self) -> Iterator[truth.Sample]:
        """Every sample a Prometheus page must have: its name, its labels, the least and the most it may stand at."""
        for (metric, labels), told in self._sums.items():
            if told.bounds is None:
                yield metric, labels, told.amounts[truth.DONE], told.amounts[truth.BEGUN]
                continue
            yield f"{metric}_count", labels, told.counts[truth.DONE], told.counts[truth.BEGUN]
            yield f"{metric}_sum", labels, told.amounts[truth.DONE], told.amounts[truth.BEGUN]
            least = most = 0
            for place, bound in enumerate((*told.bounds, _INFINITY)):
                least += told.buckets[truth.DONE][place]
                most += told.buckets[truth.BEGUN][place]
                yield f"{metric}_bucket", (*labels, ("le", f"{bound:g}")), least, most
