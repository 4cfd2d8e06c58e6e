"""Every instrument of the catalogue, made once per process; ``telemetry.domains`` records with them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from opentelemetry.metrics import Meter

from telemetry.catalogue import CounterSpec, FactSpec, HistogramSpec, LevelSpec, Spec
from telemetry.catalogue import telemetry as own
from telemetry.metrics.bound import (
    Bound,
    BoundCounter,
    BoundFact,
    BoundHistogram,
    BoundLevel,
    ObservableLevel,
    Readings,
)
from telemetry.metrics.catalogued import Declared
from telemetry.metrics.provider import MeterProvider
from telemetry.metrics.stream import CataloguedStream

_logger = logging.getLogger("telemetry")

L = TypeVar("L", bound=Mapping[str, object])


class Instruments:
    """The instruments of the catalogue, each made when it is first asked for.

    A metric that is asked for and is in no module of the catalogue counts by its own declaration; the log says so.

    Args:
        meter: Makes them.
        declared: What the meter's provider counts by.

    Attributes:
        is_configured: Whether what is counted goes somewhere.
    """

    def __init__(self, meter: Meter, declared: Declared) -> None:
        self._meter = meter
        self._declared = declared
        self._bound: dict[str, Bound[Any]] = {}
        self._refused: dict[str, Spec[Any]] = {}
        self.is_configured = True

    def counter(self, spec: CounterSpec[L]) -> BoundCounter[L]:
        """The instrument of a counter."""
        return cast("BoundCounter[L]", self._made(spec, self._counter))

    def histogram(self, spec: HistogramSpec[L]) -> BoundHistogram[L]:
        """The instrument of a histogram."""
        return cast("BoundHistogram[L]", self._made(spec, self._histogram))

    def level(self, spec: LevelSpec[L]) -> BoundLevel[L]:
        """The instrument of a level that is counted up and down."""
        made = self._made(spec, self._level)
        return made if isinstance(made, BoundLevel) else self._second_way(spec, "read", self._level)

    def observed_level(self, spec: LevelSpec[L]) -> ObservableLevel[L]:
        """The instrument of a level that is read at each collection."""
        made = self._made(spec, self._observed_level)
        return made if isinstance(made, ObservableLevel) else self._second_way(spec, "counted", self._observed_level)

    def fact(self, spec: FactSpec[L]) -> BoundFact[L]:
        """The instrument of a fact."""
        return cast("BoundFact[L]", self._made(spec, self._fact))

    def _made(self, spec: Spec[Any], make: Callable[[Any], Bound[Any]]) -> Bound[Any]:
        made = self._bound.get(spec.name)
        if made is None or not spec.is_same_as(made.spec):
            return self._make(spec, make)
        return made

    def _make(self, spec: Spec[Any], make: Callable[[Any], Bound[Any]]) -> Bound[Any]:
        other = self._declared.clashing(spec)
        if other is not None:
            return self._silent(spec, other, make)
        if self._declared.get(spec.name) is None:
            self._declared.add(spec)
            self._say_that_nobody_named(spec)
        made = self._bound[spec.name] = make(spec)
        return made

    def _say_that_nobody_named(self, spec: Spec[Any]) -> None:
        if self.is_configured:
            _logger.warning(
                "%s is counted, but no module of the catalogue declares it: name its module in "
                "configure(catalogue=[...]) or TELEMETRY_CATALOGUE, so that its series begin at 0",
                spec.name,
            )

    def _silent(self, spec: Spec[Any], other: Spec[Any], make: Callable[[Any], Bound[Any]]) -> Bound[Any]:
        """An instrument that counts for nobody, of a metric whose name is another one's."""
        if self._refused.get(spec.name) is not spec:
            self._refused[spec.name] = spec
            _logger.error(
                "%s is not counted: %s (%s) takes the same name in Prometheus; rename one of them",
                spec.name,
                other.name,
                other.help,
            )
        return self._nobodys(spec, make)

    def _second_way(self, spec: LevelSpec[Any], holds: str, make: Callable[[Any], Bound[Any]]) -> Any:
        """An instrument that counts for nobody, of a level that is read or counted, and now asked for as the other."""
        if self._refused.get(spec.name) is not spec:
            self._refused[spec.name] = spec
            _logger.error(
                "%s is both counted and read in this process: it stays %s, which came first", spec.name, holds
            )
        return self._nobodys(spec, make)

    def _nobodys(self, spec: Spec[Any], make: Callable[[Any], Bound[Any]]) -> Bound[Any]:
        nobodys = Declared([spec])
        provider = MeterProvider(nobodys.views, clamp_of=nobodys.clamp_of)
        return cast("Bound[Any]", getattr(Instruments(provider.get_meter("refused"), nobodys), make.__name__)(spec))

    def _counter(self, spec: CounterSpec[Any]) -> Bound[Any]:
        return BoundCounter(spec, _stream(self._meter.create_counter(spec.name, spec.unit, spec.help)))

    def _histogram(self, spec: HistogramSpec[Any]) -> Bound[Any]:
        return BoundHistogram(spec, _stream(self._meter.create_histogram(spec.name, spec.unit, spec.help)))

    def _level(self, spec: LevelSpec[Any]) -> Bound[Any]:
        return BoundLevel(spec, _stream(self._meter.create_up_down_counter(spec.name, spec.unit, spec.help)))

    def _observed_level(self, spec: LevelSpec[Any]) -> Bound[Any]:
        readings: Readings[Any] = Readings(spec.name)
        instrument = self._meter.create_observable_up_down_counter(spec.name, [readings.observe], spec.unit, spec.help)
        return ObservableLevel(spec, readings, _stream(instrument))

    def _fact(self, spec: FactSpec[Any]) -> Bound[Any]:
        return BoundFact(spec, _stream(self._meter.create_gauge(spec.name, spec.unit, spec.help)))

    def include(self, specs: Iterable[Spec[Any]]) -> None:
        """Count these metrics, too, where none that is declared takes one of their names."""
        for spec in specs:
            if self._declared.clashing(spec) is None:
                self._declared.add(spec)

    def declare_closed(self) -> None:
        """Declare the zero series of every counter whose label values are known from the catalogue."""
        for spec in self._declared.specs():
            if isinstance(spec, CounterSpec):
                self.counter(spec).declare_closed()

    def label_overflowed(self, metric: str) -> None:
        """Count an event whose label value was replaced."""
        if metric != own.LABEL_OVERFLOWS.name:
            self.counter(own.LABEL_OVERFLOWS).add(1, {"metric": metric})

    def value_rejected(self, metric: str) -> None:
        """Count an event whose value was not a legal one."""
        if metric != own.REJECTED_VALUES.name:
            self.counter(own.REJECTED_VALUES).add(1, {"metric": metric})

    def export_unanswered(self) -> None:
        """Count an export that is sent again though the collector may have taken it."""
        self.counter(own.UNANSWERED_EXPORTS).add(1, {})

    def given_up(self, amounts: Mapping[str, float]) -> None:
        """Count what is not delivered any more, by metric."""
        for metric, amount in amounts.items():
            self.counter(own.UNDELIVERED).add(amount, {"metric": metric})


def _stream(instrument: Any) -> CataloguedStream:
    """The one stream that the views of the catalogue give an instrument."""
    return cast("CataloguedStream", instrument.streams[0])
