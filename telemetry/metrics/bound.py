"""The catalogue's metrics as typed instruments: labels are those of the declaration; how they count is ``metrics``'."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from math import prod
from typing import Any, Generic, TypeVar, cast

from opentelemetry.metrics import CallbackOptions, Observation

from telemetry import guard
from telemetry.catalogue import Spec
from telemetry.metrics.series import CounterSeries, HistogramSeries, LevelSeries
from telemetry.metrics.stream import CataloguedStream

_logger = logging.getLogger("telemetry")

MOST_ZEROS = 1000

L = TypeVar("L", bound=Mapping[str, object])
Callback = Callable[[], Iterable[tuple[L, float]]]


class Bound(Generic[L]):
    """What the instruments of the catalogue share.

    Args:
        spec: The declaration.
        stream: Its series.

    Attributes:
        spec: The declaration.
    """

    def __init__(self, spec: Spec[L], stream: CataloguedStream) -> None:
        self.spec = spec
        self._stream = stream

    def is_exact(self, labels: L) -> bool:
        """Whether a series has these very labels, none of them replaced."""
        return self._stream.is_exact(labels)

    def declare(self, labels: L) -> None:
        """Let the series exist at 0 before its first event, so that its first increment is seen."""
        try:
            self._stream.declare(labels)
        except Exception as error:
            guard.swallow(error, f"declaring a series of {self.spec.name}")

    def declare_value(self, label: str, value: str) -> None:
        """Allow a label a value that the application declares: it takes nothing of the label's budget."""
        self._stream.declare_value(label, value)


class BoundCounter(Bound[L]):
    """A total that only grows.

    Attributes:
        add: Counts an amount (0 or more) in the series with these labels; anything else is not counted but reported. It
            never raises.
    """

    def __init__(self, spec: Spec[L], stream: CataloguedStream) -> None:
        super().__init__(spec, stream)
        self.add: Callable[[float, L], None] = stream.update

    def bind(self, labels: L) -> CounterSeries:
        """The series with these labels, to add to without looking it up again."""
        return cast("CounterSeries", self._stream.bind(labels))

    def declare_closed(self) -> None:
        """Declare every series of a metric whose labels are all closed sets, where they are not too many."""
        sets = [[value for value in label.values if value != label.overflow] for label in self.spec.label_set()]
        if not all(sets):
            return
        if prod(map(len, sets)) > MOST_ZEROS:
            _logger.warning(
                "%s has more than %d series: they do not exist at 0, but begin at their first event",
                self.spec.name,
                MOST_ZEROS,
            )
            return
        for values in product(*sets):
            self.declare(cast("L", dict(zip(self.spec.label_keys, values, strict=True))))


class BoundHistogram(Bound[L]):
    """A distribution.

    Attributes:
        record: Records a value (0 or more) in the series with these labels; anything else is not recorded but reported.
            It never raises.
    """

    def __init__(self, spec: Spec[L], stream: CataloguedStream) -> None:
        super().__init__(spec, stream)
        self.record: Callable[[float, L], None] = stream.update

    def bind(self, labels: L) -> HistogramSeries:
        """The series with these labels, to record into without looking it up again."""
        return cast("HistogramSeries", self._stream.bind(labels))


class BoundLevel(Bound[L]):
    """A level of this process, counted up and down.

    Attributes:
        add: Moves the series with these labels by an amount, which may be negative. It never raises.
    """

    def __init__(self, spec: Spec[L], stream: CataloguedStream) -> None:
        super().__init__(spec, stream)
        self.add: Callable[[float, L], None] = stream.update

    def bind(self, labels: L) -> LevelSeries:
        """The series with these labels, to add to without looking it up again."""
        return cast("LevelSeries", self._stream.bind(labels))


class ObservableLevel(Bound[L]):
    """A level of this process, read from where the truth is at each collection."""

    def __init__(self, spec: Spec[L], readings: Readings[L], stream: CataloguedStream) -> None:
        super().__init__(spec, stream)
        self._readings = readings

    def read_from(self, reader: Callback[L]) -> Reading[L]:
        """Take the level from ``reader`` at each collection, until the reading is closed; equal labels add up.

        Args:
            reader: Series with their values.
        """
        return self._readings.add(reader)


class Reading(Generic[L]):
    """One reader of a level, until it is closed."""

    def __init__(self, readings: Readings[L], reader: Callback[L]) -> None:
        self._readings = readings
        self.read = reader

    def close(self) -> None:
        """Read it no more; a second time does nothing."""
        self._readings.remove(self)


class Readings(Generic[L]):
    """Who is asked for one level; each reader by itself may fail.

    Args:
        metric: Name of the level.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._readings: dict[Reading[L], None] = {}

    def add(self, reader: Callback[L]) -> Reading[L]:
        """Ask ``reader`` as well."""
        reading = Reading(self, reader)
        self._readings[reading] = None
        return reading

    def remove(self, reading: Reading[L]) -> None:
        """Ask it no more."""
        self._readings.pop(reading, None)

    def observe(self, options: CallbackOptions) -> Iterator[Observation]:
        """What every reader reads."""
        for reading in list(self._readings):
            with guard.guarded(f"reading {self._metric}"):
                for labels, value in reading.read():
                    yield Observation(value, cast("Any", labels))


class BoundFact(Bound[L]):
    """A shared truth of the fleet as this process last read it; absent until read, absent when unreadable."""

    def set_all(self, values: Iterable[tuple[L, float]]) -> None:
        """Replace every series by a fresh reading; a series that is not in it is gone."""
        try:
            self._stream.replace(values)
        except Exception as error:
            guard.swallow(error, f"setting {self.spec.name}")

    def forget(self) -> None:
        """There is no reading: the metric becomes absent, which is not 0."""
        self._stream.clear()
