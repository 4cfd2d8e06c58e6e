"""One series: what an event adds to. It is held as long as wanted, also over a fork; its cells come and go.

An addition to a cell is one statement without a call: under CPython's global lock no other thread and no signal handler
runs between its reading and its writing. A build without that lock takes one of ours.
"""

from __future__ import annotations

import functools
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from math import nan
from typing import Any, Protocol

from telemetry.box.identity import Identity, Value

LARGEST = 1e200  # of one measurement: however many of them a total adds up, it stays a finite number

# Counting into it raises ValueError: the series has no cells in this process yet.
NOWHERE: memoryview[float] = memoryview(b"").cast("d")
NOWHERE.release()


class Many(Protocol):
    """What a series is one of."""

    @property
    def identity(self) -> Identity:
        """Its metric."""

    @property
    def is_standing(self) -> bool:
        """Whether its series say how things stand, and are no totals."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while a series is made or placed."""

    def take_unusual(self, series: Series, amount: object) -> None:
        """Deal with what a series cannot take as it is."""


class Series:
    """A series of a stream.

    Args:
        stream: Whose it is.
        keys: Names of its labels.
        values: Their values, in the same order.

    Attributes:
        cells: Where its cells are, together with others'.
        slot: The first of them.
    """

    __slots__ = ("cells", "keys", "slot", "stream", "values")

    def __init__(self, stream: Many, keys: tuple[str, ...], values: tuple[Value, ...]) -> None:
        self.stream = stream
        self.keys = keys
        self.values = values
        self.cells = NOWHERE
        self.slot = 0

    @property
    def identity(self) -> Identity:
        """Its metric."""
        return self.stream.identity

    def move(self, cells: memoryview[float]) -> None:
        """Count in these cells from now on."""
        self.cells = cells

    def update(self, amount: float) -> None:
        """Take one measurement; never raises."""
        raise NotImplementedError

    def standing(self) -> float:
        """What it stands at in this process: the count of a distribution."""
        raise NotImplementedError


class CounterSeries(Series):
    """A total."""

    __slots__ = ()

    def add(self, amount: float) -> None:
        """Count ``amount`` (0 or more); anything else is not counted but reported. Never raises."""
        try:
            if amount == 1 or 0 <= amount < LARGEST:  # most events add 1, and comparing integers is cheapest
                self.cells[self.slot] += amount
                return
        except (ValueError, TypeError):
            pass
        self.stream.take_unusual(self, amount)

    update = add

    def standing(self) -> float:
        """What it stands at in this process."""
        try:
            return self.cells[self.slot]
        except ValueError:
            return 0.0

    def take_back(self, amount: float) -> None:
        """Take away what is dealt with, of a note; a total never falls."""
        self.cells[self.slot] -= amount

    def exchange(self, other: CounterSeries, amount: float) -> None:
        """Take 1 away here and count ``amount`` there: no other thread runs in between. Both have their cells."""
        cells, slot, others, other_slot = self.cells, self.slot, other.cells, other.slot
        cells[slot] -= 1.0
        others[other_slot] += amount


class HistogramSeries(Series):
    """A distribution: its buckets, then the sum. Killed between the two stores it lacks one value in its sum."""

    __slots__ = ("bounds", "total")

    def __init__(self, stream: Many, keys: tuple[str, ...], values: tuple[Value, ...]) -> None:
        super().__init__(stream, keys, values)
        self.bounds = stream.identity.bounds
        self.total = 0

    def move(self, cells: memoryview[float]) -> None:
        """Count in these cells from now on."""
        self.total = self.slot + len(self.bounds) + 1
        self.cells = cells

    def record(self, amount: float) -> None:
        """Record ``amount`` (0 or more); anything else is not recorded but reported. Never raises."""
        cells = self.cells
        try:
            if not 0.0 <= amount < LARGEST:
                self.stream.take_unusual(self, amount)
                return
            cells[self.slot + bisect_left(self.bounds, amount)] += 1.0
        except (ValueError, TypeError):
            self.stream.take_unusual(self, amount)
            return
        try:
            cells[self.total] += amount
        except TypeError:  # a number that does not add to a float
            cells[self.total] += float(amount)
        except ValueError:  # the cells were given up between the two stores
            return

    update = record

    def grow(self, counts: Sequence[float], amount: float) -> None:
        """Add what somebody else has recorded: values by bucket, and their sum. It has its cells, and keeps them."""
        cells = self.cells
        for index, count in enumerate(counts, self.slot):
            cells[index] += count
        cells[self.total] += amount

    def standing(self) -> float:
        """How many values were recorded in this process."""
        try:
            return sum(self.cells[self.slot : self.total].tolist())
        except ValueError:
            return 0.0


class LevelSeries(Series):
    """A sum that goes up and down.

    Attributes:
        value: What it stands at.
    """

    __slots__ = ("value",)

    def __init__(self, stream: Many, keys: tuple[str, ...], values: tuple[Value, ...]) -> None:
        super().__init__(stream, keys, values)
        self.value = 0.0

    def add(self, amount: float) -> None:
        """Move the level by a finite ``amount``; anything else is reported. Never raises."""
        try:
            if amount in (1, -1) or -LARGEST < amount < LARGEST:
                self.value += amount
                return
        except TypeError:
            pass
        self.stream.take_unusual(self, amount)

    update = add

    def standing(self) -> float:
        """What it stands at."""
        return self.value

    def stand_at(self, value: float) -> None:
        """Let the level be ``value``, whatever it was before."""
        self.value = 0.0
        self.add(value)


class GaugeSeries(Series):
    """The last value that somebody set.

    Attributes:
        value: What was set; not a number where nothing was.
        at: When it was, in Unix seconds.
    """

    __slots__ = ("at", "value")

    def __init__(self, stream: Many, keys: tuple[str, ...], values: tuple[Value, ...]) -> None:
        super().__init__(stream, keys, values)
        self.value = nan
        self.at = 0.0

    def update(self, amount: float) -> None:
        """Set a finite value; anything else is reported. Never raises."""
        try:
            if -LARGEST < amount < LARGEST:
                self.value, self.at = amount, time.time()
                return
        except TypeError:
            pass
        self.stream.take_unusual(self, amount)

    def standing(self) -> float:
        """What was set; not a number where nothing was."""
        return self.value

    def stand_at(self, value: float) -> None:
        """Set ``value``, as it is observed."""
        self.update(value)


def count_under_locks() -> None:
    """Let every addition take the lock of its stream: where threads run at the same time, a statement is no unit."""
    for kind, names in ((CounterSeries, "add update"), (HistogramSeries, "record update"), (LevelSeries, "add update")):
        under_lock = _under_lock(kind.update)
        for name in names.split():
            setattr(kind, name, under_lock)


def _under_lock(update: Callable[[Any, float], None]) -> Callable[[Any, float], None]:
    @functools.wraps(update)
    def under_lock(series: Series, amount: float) -> None:
        with series.stream.lock:
            update(series, amount)

    return under_lock


if not getattr(sys, "_is_gil_enabled", lambda: True)():
    count_under_locks()
