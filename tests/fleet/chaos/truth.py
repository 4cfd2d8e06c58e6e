"""What was counted in every process, told by the process itself: a line in a file before each event and one after it.

The files are appended to by single writes, so what a killed process wrote is whole, and each thread of it has at most one
event that was begun and not done. How the product counts, this does not know: it sees what is added to which series.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DIRECTORY = "CHAOS_TRUTH_DIR"
BEGUN, DONE = 0, 1
EVENT = struct.Struct("<IId")
_LARGEST = 1e200

Key = tuple[str, tuple[tuple[str, str], ...]]
Sample = tuple[str, tuple[tuple[str, str], ...], float, float]


@dataclass
class Amounts:
    """What one series was given.

    Attributes:
        bounds: Of a histogram; ``None`` for a counter.
        begun: Every amount that a process began to count.
        done: Those of them that it had counted.
    """

    bounds: tuple[float, ...] | None = None
    begun: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)


def read(directory: Path) -> dict[Key, Amounts]:
    """What all processes counted, by metric and labels."""
    truth: dict[Key, Amounts] = defaultdict(Amounts)
    for path in directory.glob("*.series"):
        series: dict[int, Amounts] = {}
        for line in path.read_text().splitlines():
            number, metric, labels, bounds = json.loads(line)
            series[number] = truth[metric, tuple(sorted((name, value) for name, value in labels))]
            series[number].bounds = None if bounds is None else tuple(bounds)
        for phase, number, amount in EVENT.iter_unpack(path.with_suffix(".events").read_bytes()):
            (series[number].done if phase == DONE else series[number].begun).append(amount)
    return truth


class Teller:
    """Writes the files of one process; a forked child begins its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._at = threading.local()
        self._numbers: dict[Any, int] = {}
        self._events = self._series = -1
        self._is_over = False

    def telling(self, update: Callable[[Any, float], None]) -> Callable[[Any, float], None]:
        """An update of a series that is told; one that it leads to in the same series is the same event."""

        @functools.wraps(update)
        def told(series: Any, amount: float) -> None:
            if getattr(self._at, "series", None) is series or not _counts(series, amount):
                update(series, amount)
                return
            outer, self._at.series = getattr(self._at, "series", None), series
            try:
                self._tell(series, amount, lambda: update(series, amount))
            finally:
                self._at.series = outer

        return told

    def telling_exchange(self, exchange: Callable[[Any, Any, float], None]) -> Callable[[Any, Any, float], None]:
        """The same for what a note that is dealt with adds elsewhere."""

        @functools.wraps(exchange)
        def told(note: Any, series: Any, amount: float) -> None:
            self._tell(series, amount, lambda: exchange(note, series, amount))

        return told

    def telling_for_the_dead(self, count: Callable[[Any, Any, float], None]) -> Callable[[Any, Any, float], None]:
        """The same for what is counted into the box of a dead process."""

        @functools.wraps(count)
        def told(box: Any, entry: Any, amount: float) -> None:
            self._tell(entry, amount, lambda: count(box, entry, amount))

        return told

    def telling_until(self, shutdown: Callable[[Any], None]) -> Callable[[Any], None]:
        """After this nothing is told: what a process counts that has shut telemetry down goes nowhere, as documented."""

        @functools.wraps(shutdown)
        def told(pipeline: Any) -> None:
            shutdown(pipeline)
            self._is_over = True

        return told

    def _tell(self, entry: Any, amount: float, act: Callable[[], None]) -> None:
        if self._is_over:
            act()
            return
        number = self._number(entry)
        os.write(self._events, EVENT.pack(BEGUN, number, amount))
        act()
        os.write(self._events, EVENT.pack(DONE, number, amount))

    def _number(self, entry: Any) -> int:
        key = (entry.identity.name, entry.keys, entry.values)
        number = self._numbers.get(key)
        if number is None:
            with self._lock:
                number = self._numbers.get(key) or self._name(key, entry)
        return number

    def _name(self, key: Any, entry: Any) -> int:
        if self._events < 0:
            name = str(self._directory / f"{os.getpid()}-{secrets.token_hex(4)}")
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._events, self._series = (
                os.open(f"{name}.events", flags, 0o600),
                os.open(f"{name}.series", flags, 0o600),
            )
        number = len(self._numbers) + 1
        labels = [[name, str(value)] for name, value in zip(entry.keys, entry.values, strict=True)]
        bounds = list(entry.identity.bounds) if entry.identity.kind.name == "HISTOGRAM" else None
        os.write(self._series, (json.dumps([number, entry.identity.name, labels, bounds]) + "\n").encode())
        self._numbers[key] = number
        return number


def _counts(series: Any, amount: Any) -> bool:
    """Whether a total moves by this."""
    return series.identity.kind.name != "NOTE" and isinstance(amount, (int, float)) and 0 <= amount < _LARGEST


def install(directory: Path) -> None:
    """Tell from now on what this process counts."""
    from telemetry.box.box import Box
    from telemetry.metrics.series import CounterSeries, HistogramSeries
    from telemetry.pipeline.pipeline import Pipeline

    teller = Teller(directory)
    for kind, names in ((CounterSeries, ("add", "update")), (HistogramSeries, ("record", "update"))):
        told = teller.telling(kind.update)
        for name in names:
            setattr(kind, name, told)
    CounterSeries.exchange = teller.telling_exchange(CounterSeries.exchange)  # type: ignore[method-assign]
    Pipeline.shutdown = teller.telling_until(Pipeline.shutdown)  # type: ignore[method-assign]
    Box.count = teller.telling_for_the_dead(Box.count)  # type: ignore[assignment,method-assign]


def samples(truth: dict[Key, Amounts]) -> Iterator[Sample]:
    """Every sample a Prometheus page must have: its name, its labels, the least and the most it may stand at."""
    for (metric, labels), amounts in truth.items():
        done, begun = amounts.done, amounts.begun
        if amounts.bounds is None:
            yield metric, labels, sum(done), sum(begun)
            continue
        yield f"{metric}_count", labels, len(done), len(begun)
        yield f"{metric}_sum", labels, sum(done), sum(begun)
        for bound in (*amounts.bounds, float("inf")):
            least, most = (sum(value <= bound for value in values) for values in (done, begun))
            yield f"{metric}_bucket", (*labels, ("le", f"{bound:g}")), least, most
