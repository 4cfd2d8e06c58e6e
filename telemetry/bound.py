"""One bound instrument: a catalogue spec joined to the SDK of this process; the set of all is in ``instruments.py``.

Every series is a cell of ours that the SDK reads at collection, because one SDK call per event costs twenty times
as much. A recorder that meets the same labels again and again holds on to the series (``bind``). After a fork the
child's cells are empty and the first event in the child starts a pipeline of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import product
from math import inf
from operator import itemgetter
from typing import Any, Generic, Protocol, TypeVar, cast

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from telemetry import guard
from telemetry.catalogue import LevelSpec, Spec
from telemetry.labels import LabelClamp

L = TypeVar("L", bound=Mapping[str, object])
Key = tuple[str, ...]


def _key_getter(names: tuple[str, ...]) -> Callable[[Mapping[str, object]], tuple[object, ...]]:
    if not names:
        return lambda labels: ()
    if len(names) == 1:
        only = names[0]
        return lambda labels: (labels[only],)
    return cast("Callable[[Mapping[str, object]], tuple[object, ...]]", itemgetter(*names))


class Owner(Protocol):
    """Whom a bound instrument belongs to.

    Attributes:
        constant_labels: Labels on every series.
    """

    constant_labels: dict[str, str]

    def ensure_started(self) -> None:
        """Start the pipeline where it is not running."""

    def label_overflowed(self, metric: str) -> None:
        """Count an event whose label value was replaced."""

    def value_rejected(self, metric: str) -> None:
        """Count an event whose value was not a legal one."""


class Bound(Generic[L]):
    """What all bound instruments share: label keys, clamps, attributes, and forgetting after a fork."""

    def __init__(self, spec: Spec[L], owner: Owner) -> None:
        self.spec = spec
        self._owner = owner
        self._key = _key_getter(spec.label_keys)
        self._clamp = LabelClamp(cast("Spec[Mapping[str, object]]", spec), owner.label_overflowed)
        self._lock = threading.RLock()

    def reset(self) -> None:
        """Drop everything recorded, with a fresh lock: the state of a new process."""
        self._lock = threading.RLock()
        self._clamp.forget()

    def attach(self, meter: Meter) -> None:
        """Create the SDK instrument behind this one."""
        raise NotImplementedError

    def _attributes(self, key: Key) -> dict[str, str]:
        return {**dict(zip(self.spec.label_keys, key, strict=True)), **self._owner.constant_labels}


class Series:
    """One number: a series of a counter, a level or a fact.

    Attributes:
        value: What it stands at.
    """

    __slots__ = ("_lock", "value")

    def __init__(self, lock: AbstractContextManager[Any], value: float = 0.0) -> None:
        self.value = value
        self._lock = lock

    def add(self, amount: float) -> None:
        """Move the series by a finite ``amount``."""
        with self._lock:
            self.value += amount


class _Cells(Bound[L]):
    """One number per series, read by an observable instrument."""

    def __init__(self, spec: Spec[L], owner: Owner) -> None:
        super().__init__(spec, owner)
        self._cells: dict[tuple[object, ...], Series] = {}

    def reset(self) -> None:
        super().reset()
        self._cells = {}

    def value(self, labels: L) -> float | None:
        """What the series stands at, ``None`` where it does not exist; for tests and the Prometheus sink."""
        cell = self._cells.get(self._clamp.clamp(labels))
        return None if cell is None else cell.value

    def observe(self, options: CallbackOptions | None = None) -> Iterable[Observation]:
        """Every series as an observation; called by the SDK at collection."""
        with self._lock:
            cells = [(key, cell.value) for key, cell in self._cells.items()]
        return [Observation(value, self._attributes(cast("Key", key))) for key, value in cells]

    def bind(self, labels: L) -> Series:
        """The series with these labels, to add to without looking it up again; valid until ``reset``."""
        try:
            return self._cells[self._key(labels)]
        except (KeyError, TypeError):
            return self._new_series(labels)

    def is_exact(self, labels: L) -> bool:
        """Whether the series has these very labels, none of them replaced."""
        return self._key(labels) in self._cells

    def _new_series(self, labels: L) -> Series:
        self._owner.ensure_started()
        key = self._clamp.clamp(labels)
        with self._lock:
            return self._cells.setdefault(key, Series(self._lock))

    def declare(self, labels: L) -> None:
        """Let the series exist at 0 before its first event, so that its first increment is seen."""
        try:
            self._new_series(labels)
        except Exception as error:
            guard.swallow(error, f"declaring a series of {self.spec.name}")

    def declare_closed(self) -> None:
        """Declare every series of a metric whose labels are all closed sets."""
        labels = self.spec.label_set()
        if all(label.values for label in labels):
            names = self.spec.label_keys
            for values in product(*([v for v in label.values if v != label.overflow] for label in labels)):
                self.declare(cast("L", dict(zip(names, values, strict=True))))


class BoundCounter(_Cells[L]):
    """A total that only grows."""

    def add(self, amount: float, labels: L) -> None:
        """Count ``amount`` (0 or more); anything else is not counted but reported."""
        try:
            if not 0 <= amount < inf:
                self._owner.value_rejected(self.spec.name)
                return
            self.bind(labels).add(amount)
        except Exception as error:
            guard.swallow(error, f"counting {self.spec.name}")

    def attach(self, meter: Meter) -> None:
        """Create the observable counter."""
        meter.create_observable_counter(self.spec.name, [self.observe], self.spec.unit, self.spec.help)


class BoundLevel(_Cells[L]):
    """A level of this process: counted up and down, or read from where the truth is at collection."""

    def __init__(self, spec: LevelSpec[L], owner: Owner) -> None:
        super().__init__(spec, owner)
        self._readers: list[Callable[[], Iterable[tuple[L, float]]]] = []
        self._not_for_children: list[Callable[[], Iterable[tuple[L, float]]]] = []

    def reset(self) -> None:
        """Drop everything recorded, and the readers that are their parent's."""
        super().reset()
        self._not_for_children = []

    def add(self, amount: float, labels: L) -> None:
        """Move the level by ``amount``, which may be negative."""
        try:
            if not -inf < amount < inf:
                self._owner.value_rejected(self.spec.name)
                return
            self.bind(labels).add(amount)
        except Exception as error:
            guard.swallow(error, f"moving {self.spec.name}")

    def read_from(self, reader: Callable[[], Iterable[tuple[L, float]]], *, in_children: bool = True) -> None:
        """Take the level from ``reader`` at each collection; readers with equal labels add up.

        Args:
            reader: Series with their values.
            in_children: Whether a forked child reads as well; what it inherits may be its parent's to report.
        """
        (self._readers if in_children else self._not_for_children).append(reader)

    def observe(self, options: CallbackOptions | None = None) -> Iterable[Observation]:
        """Every series as an observation; called by the SDK at collection."""
        levels: dict[Key, float] = {}
        for reader in (*self._readers, *self._not_for_children):
            with guard.guarded(f"reading {self.spec.name}"):
                for labels, value in reader():
                    key = self._clamp.clamp(labels)
                    levels[key] = levels.get(key, 0.0) + value
        read = [Observation(value, self._attributes(key)) for key, value in levels.items()]
        return [*super().observe(options), *read]

    def attach(self, meter: Meter) -> None:
        """Create the observable up-down counter."""
        meter.create_observable_up_down_counter(self.spec.name, [self.observe], self.spec.unit, self.spec.help)


class BoundFact(_Cells[L]):
    """A shared truth of the fleet as this process last read it; absent until read, absent when unreadable."""

    def set_all(self, values: Iterable[tuple[L, float]]) -> None:
        """Replace every series by a fresh reading; a series that is not in it is gone."""
        try:
            self._owner.ensure_started()
            self._clamp.forget()
            cells: dict[tuple[object, ...], Series] = {}
            for labels, value in values:
                if -inf < value < inf:
                    cells[self._clamp.clamp(labels)] = Series(self._lock, float(value))
                else:
                    self._owner.value_rejected(self.spec.name)
            with self._lock:
                self._cells = cells
        except Exception as error:
            guard.swallow(error, f"setting {self.spec.name}")

    def forget(self) -> None:
        """There is no reading: the metric becomes absent, which is not 0."""
        with self._lock:
            self._cells = {}

    def attach(self, meter: Meter) -> None:
        """Create the observable gauge."""
        meter.create_observable_gauge(self.spec.name, [self.observe], self.spec.unit, self.spec.help)
