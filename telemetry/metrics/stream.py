"""A metric stream: what one instrument records under one view, and the way from attributes to a series of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from operator import itemgetter
from typing import Any, Protocol, SupportsFloat, cast

from telemetry import guard
from telemetry.box.exemplars import Exemplar
from telemetry.box.identity import Identity, Kind, Value
from telemetry.metrics.attributes import canonical
from telemetry.metrics.clamp import LabelClamp
from telemetry.metrics.exemplars import Current, ExemplarSeries
from telemetry.metrics.series import LARGEST, CounterSeries, GaugeSeries, HistogramSeries, LevelSeries, Series

_logger = logging.getLogger("telemetry")

OVERFLOW = "otel.metric.overflow"
MOST_SERIES = 10_000
MOST_FREE_SERIES = 2_000  # OpenTelemetry's default cardinality limit
_TYPED = object()  # equal to no value of an attribute

_SERIES: Mapping[Kind, type[Series]] = {
    Kind.SUM: CounterSeries,
    Kind.NOTE: CounterSeries,
    Kind.HISTOGRAM: HistogramSeries,
    Kind.LEVEL: LevelSeries,
    Kind.GAUGE: GaugeSeries,
}


class Home(Protocol):
    """Whose streams these are."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while a series is made or placed."""

    def place(self, series: Series) -> None:
        """Give a series cells in the box of this process, where it has none."""

    @property
    def current_span(self) -> Current | None:
        """What asks for the span of an exemplar; ``None`` where none are kept."""

    def keep_exemplar(self, series: Series, bucket: int, exemplar: Exemplar) -> None:
        """Keep an exemplar of a series, where it has cells."""

    def label_overflowed(self, metric: str) -> None:
        """Count an event whose labels were replaced."""

    def value_rejected(self, metric: str) -> None:
        """Count an event whose value was not a legal one."""


class Stream:
    """Series of one metric by their attributes. Never raises into whoever records.

    Args:
        identity: The metric.
        home: Whose stream it is.

    Attributes:
        identity: The metric.
        is_standing: Whether its series say how things stand, and are no totals.
        current_span: What asks for the span of an exemplar; ``None`` where its series have none.
        keep_exemplar: Keeps one.
    """

    def __init__(self, identity: Identity, home: Home) -> None:
        self.identity = identity
        self._home = home
        self.current_span = home.current_span if identity.kind is Kind.HISTOGRAM else None
        self.keep_exemplar = home.keep_exemplar
        self._make = _SERIES[identity.kind] if self.current_span is None else ExemplarSeries
        self.is_standing = identity.kind in {Kind.LEVEL, Kind.GAUGE}

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while a series is made or placed."""
        return self._home.lock

    def update(self, amount: float, attributes: Mapping[str, Any] | None = None, context: object = None) -> None:
        """Take one measurement; an instrument whose exemplars are kept makes the context the current one."""
        raise NotImplementedError

    def bind(self, attributes: Mapping[str, Any] | None) -> Series:
        """The series with these attributes, made where it does not exist."""
        raise NotImplementedError

    def all(self) -> list[Series]:
        """Every series that exists."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget every series; those that somebody holds go nowhere any more. For gauges, which have no past."""
        raise NotImplementedError

    def take_unusual(self, series: Series, amount: object) -> None:
        """Count what a series could not take as it is: it has no cells yet, or the amount is no plain number."""
        try:
            number = float(amount) if isinstance(amount, SupportsFloat) else float("nan")
        except (ValueError, TypeError, OverflowError):
            number = float("nan")
        least = 0.0 if self.identity.kind in {Kind.SUM, Kind.HISTOGRAM, Kind.NOTE} else -LARGEST
        try:
            if least <= number < LARGEST:
                self._home.place(series)
                series.update(number)
            else:
                self._home.value_rejected(self.identity.name)
        except Exception as error:
            guard.swallow(error, f"counting {self.identity.name}")


class CataloguedStream(Stream):
    """A stream whose labels the catalogue declares.

    Args:
        identity: The metric.
        home: Whose stream it is.
        clamp: What the catalogue allows.
    """

    def __init__(self, identity: Identity, home: Home, clamp: LabelClamp) -> None:
        super().__init__(identity, home)
        self._clamp = clamp
        self._key = _key_getter(clamp.keys)
        self._series: dict[tuple[object, ...], Series] = {}

    def update(self, amount: float, attributes: Mapping[str, Any] | None = None, context: object = None) -> None:
        """Take one measurement; an instrument whose exemplars are kept makes the context the current one."""
        try:
            try:
                series = self._series[self._key(attributes)]
            except (KeyError, TypeError):
                series = self.bind(attributes)
        except Exception as error:
            guard.swallow(error, f"finding a series of {self.identity.name}")
            return
        series.update(amount)

    def bind(self, attributes: Mapping[str, Any] | None) -> Series:
        """The series with these labels, or the one that stands for labels that are not allowed."""
        clamp = self._clamp
        given = clamp.given(attributes if isinstance(attributes, Mapping) else {})
        with self._home.lock:
            values = clamp.allowed(given)
            series = self._series.get(values)
            if series is None and len(self._series) >= MOST_SERIES:
                values = clamp.folded(values)
                series = self._series.get(values)
            if series is None:  # known first: one without cells gets them, but no second one may get some
                series = self._series[values] = self._make(self, clamp.keys, values)
                self._home.place(series)
        if values != given:
            self._home.label_overflowed(self.identity.name)
        return series

    def declare(self, labels: Mapping[str, Any]) -> None:
        """Let a series exist at 0 before its first event, in this process."""
        self._home.place(self.bind(labels))

    def declare_value(self, label: str, value: str) -> None:
        """Allow a label a value, whatever else takes of its budget."""
        with self._home.lock:
            self._clamp.declare(label, value)

    def replace(self, values: Iterable[tuple[Mapping[str, Any], float]]) -> None:
        """Let these be the only series, at these values: as one for whoever reads them meanwhile."""
        taken = list(values)
        with self._home.lock:
            self.clear()
            for labels, value in taken:
                self.bind(labels).update(value)

    def is_exact(self, labels: Mapping[str, Any]) -> bool:
        """Whether a series has these very labels, none of them replaced."""
        return self._key(labels) in self._series

    def all(self) -> list[Series]:
        """Every series that exists."""
        return list(self._series.values())

    def clear(self) -> None:
        """Forget every series, and what budgets were used for."""
        with self._home.lock:
            self._series = {}
            self._clamp.forget()


class FreeStream(Stream):
    """A stream of somebody's own metric: any attributes, as many series as a stream may have.

    Series are found by the names of their attributes, in the order in which these came first, and then by the values.
    Text is equal to nothing but text; values of other types are told apart by the types, too: ``1``, ``1.0`` and
    ``True`` are equal to Python.

    Args:
        identity: The metric.
        home: Whose stream it is.
        allowed: The attributes that tell series apart; ``None`` for all.
        most: How many series it may have, the one for all others included.
    """

    def __init__(
        self, identity: Identity, home: Home, allowed: frozenset[str] | None = None, most: int = MOST_FREE_SERIES
    ) -> None:
        super().__init__(identity, home)
        self._allowed = allowed
        self._most = most
        self._by_names: dict[tuple[str, ...], dict[Any, Series]] = {}
        self._orders: dict[frozenset[str], tuple[str, ...]] = {}
        self._series: list[Series] = []
        self._overflow: Series | None = None
        self._remembered = 0

    def update(self, amount: float, attributes: Mapping[str, Any] | None = None, context: object = None) -> None:
        """Take one measurement; an instrument whose exemplars are kept makes the context the current one."""
        try:
            try:
                by_values = self._by_names[tuple(attributes)]  # type: ignore[arg-type]
                values = tuple(attributes.values())  # type: ignore[union-attr]
                series = by_values.get(values) or by_values[_TYPED, values, tuple(map(type, values))]
            except (KeyError, TypeError, AttributeError):
                series = self.bind(attributes)
        except Exception as error:
            guard.swallow(error, f"finding a series of {self.identity.name}")
            return
        series.update(amount)

    def bind(self, attributes: Mapping[str, Any] | None) -> Series:
        """The series with these attributes, or the one for all beyond the limit."""
        given = attributes if isinstance(attributes, Mapping) else {}
        wanted = given if self._allowed is None else {k: v for k, v in given.items() if k in self._allowed}
        names, values = canonical(wanted)
        with self._home.lock:
            keys = self._orders.setdefault(frozenset(names), names)
            if keys != names:
                of_name = dict(zip(names, values, strict=True))
                values = tuple(of_name[key] for key in keys)
            series = self._of(keys, values)
            self._remember(tuple(given), tuple(given.values()), series)
            return series

    def _of(self, keys: tuple[str, ...], values: tuple[Value, ...]) -> Series:
        by_values = self._by_names.setdefault(keys, {})
        key = _by(values)
        series = by_values.get(key)
        if series is None and len(self._series) >= self._most - 1:
            self._home.label_overflowed(self.identity.name)
            series, keys, values = self._overflow, (OVERFLOW,), (True,)
            if series is None:
                _logger.warning(
                    "%s has %d series in this process, as many as one instrument may have: what is beyond counts in "
                    "the series %s=true, and in telemetry_label_overflows_total; use attributes with fewer values",
                    self.identity.name,
                    self._most - 1,
                    OVERFLOW,
                )
        if series is None:
            series = self._make(self, keys, values)
            if keys == (OVERFLOW,):
                self._overflow = series
            else:
                by_values[key] = series
            self._series.append(series)
            self._home.place(series)
        return series

    def _remember(self, names: tuple[str, ...], values: tuple[Any, ...], series: Series) -> None:
        """Find it faster the next time that it is named in another order, or with what it does not keep."""
        if series is self._overflow or self._remembered >= self._most:
            return
        try:
            known = self._by_names.setdefault(names, {})
            if _by(values) not in known:
                known[_by(values)] = series
                self._remembered += 1
        except TypeError:  # a list among the values
            return

    def all(self) -> list[Series]:
        """Every series that exists."""
        return list(self._series)

    def clear(self) -> None:
        """Forget every series."""
        with self._home.lock:
            self._by_names, self._orders, self._series = {}, {}, []
            self._overflow, self._remembered = None, 0


def _by(values: tuple[Any, ...]) -> Any:
    """What values are looked up by."""
    if all(type(value) is str for value in values):
        return values
    return _TYPED, values, tuple(map(_type_of, values))


def _type_of(value: object) -> object:
    return tuple(map(_type_of, value)) if isinstance(value, tuple) else type(value)


def _key_getter(names: tuple[str, ...]) -> Callable[[Any], tuple[object, ...]]:
    if not names:
        return lambda labels: ()
    if len(names) == 1:
        only = names[0]
        return lambda labels: (labels[only],)
    return cast("Callable[[Any], tuple[object, ...]]", itemgetter(*names))
