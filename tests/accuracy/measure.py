"""Compares what a system shows with the truth, and watches it while things happen to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx

from docs.accuracy.table import Row, Table
from support import exposition
from support.exposition import Labels
from tests.accuracy import programs
from tests.accuracy.programs import COUNTER, HISTOGRAM, Notes
from tests.accuracy.systems.base import System, WithCollector
from tests.support.beside import beside


@dataclass(frozen=True)
class Bound:
    """What the official distribution's configuration promises where it does not promise the truth.

    Attributes:
        lost: How much may be missing at most.
        doubled: How much may be too much.
        why: In words.
    """

    why: str
    lost: float = 0.0
    doubled: float = 0.0


class Check:
    """Writes rows of one scenario and fails on a wrong one of ours."""

    def __init__(self, table: Table, part: str, scenario: str, system: System, scale: str) -> None:
        self._table = table
        self._part = part
        self._scenario = scenario
        self._system = system
        self._scale = scale

    def exact(self, what: str, truth: float, counted: float, bound: Bound | None = None) -> None:
        """Nothing lost, nothing doubled; a bound is the official configuration's alone."""
        self.between(what, truth, truth, counted, bound)

    def between(self, what: str, done: float, begun: float, counted: float, bound: Bound | None = None) -> None:
        """The same where a kill left one event under way in a thread: it may be counted."""
        allowed = bound if bound is not None and self._system.is_bounded else Bound("")
        least, most = done - allowed.lost, begun + allowed.doubled
        self._add(
            Row(self._part, self._scenario, what, self._system.key, done, begun, counted, least, most, allowed.why)
        )

    def limit(self, what: str, counted: float, most: float) -> None:
        """No more than that."""
        self._add(Row(self._part, self._scenario, what, self._system.key, most, most, counted, 0, most, is_limit=True))

    def noted(self, notes: Notes, name: str = "", bound: Bound | None = None) -> None:
        """Counter and histogram of noted events."""
        for what, metric in (("counter", COUNTER), ("histogram", HISTOGRAM)):
            counted = self._system.stands_between(notes.done, notes.begun, metric)
            self.between(f"{what}{name}", notes.done, notes.begun, counted, bound)

    def nothing_left(self) -> None:
        """No file of a dead process."""
        left = self._system.left()
        if left is not None:
            self.exact("files left behind", 0, left)

    def events(self, events: int, *, per_record: int | None = None, name: str = "") -> None:
        """Counter, histogram count and buckets of `events` events, made by calls of `record(per_record)`."""
        each = per_record or events
        self.exact(f"counter{name}", events, self._system.settles_between(events, events, COUNTER, user_plan="free"))
        self.exact(f"histogram{name}", events, self._system.settles_between(events, events, HISTOGRAM))
        times = events / each
        truth = {bound: count * times for bound, count in programs.buckets(each).items()}
        shown = bucket_counts(self._system)
        self.exact(f"buckets that differ{name}", 0, len([bound for bound in truth if shown.get(bound) != truth[bound]]))
        self._system.assert_nothing_dropped()

    def _add(self, row: Row) -> None:
        self._table.rows.append(replace(row, scale=self._scale, day=f"{datetime.now(UTC):%Y-%m-%d}"))
        if self._system.is_ours:
            assert row.is_right, f"{row.scenario}, {row.what}: {row.counted:g}, not {row.wanted}"


def bucket_counts(system: System, metric: str = HISTOGRAM) -> dict[str, float]:
    """Cumulative counts of a histogram by `le`."""
    shown: dict[str, float] = {}
    for (name, labels), value in system.samples().items():
        if name == f"{metric}_bucket":
            bound = dict(labels)["le"]
            bound = bound if bound == "+Inf" else f"{float(bound):g}"
            shown[bound] = shown.get(bound, 0) + value
    return shown


class Watch:
    """Scrapes a counter again and again and adds up its increments, series by series, as Prometheus does.

    Attributes:
        increments: What was seen so far.
        falls: How often a series was lower than before.
    """

    def __init__(self, system: WithCollector, metric: str) -> None:
        self.increments = 0.0
        self.falls = 0
        self._system = system
        self._metric = metric
        self._last: dict[Labels, float] = {}
        self._looking = threading.Lock()

    def look(self) -> float:
        """Scrape now; the increments so far."""
        with self._looking:
            try:
                shown = exposition.series(self._system.samples(), self._metric)
            except (httpx.HTTPError, ValueError):  # it is away, or in the middle of a page
                return self.increments
            for key, value in shown.items():
                before = self._last.get(key, 0.0)
                self.falls += value < before
                self.increments += value - before if value >= before else value
            self._last.update(shown)
            return self.increments


@contextmanager
def watched(system: WithCollector, metric: str = COUNTER, interval: float = 0.2) -> Iterator[Watch]:
    """A watch that scrapes at an interval for the length of a block."""
    watch = Watch(system, metric)

    def scrape(over: threading.Event) -> None:
        while not over.wait(interval):
            watch.look()

    with beside(scrape):
        yield watch
