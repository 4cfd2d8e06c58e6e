"""Every instrument of the catalogue, bound once per process; what to record is the domains' business."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from telemetry import guard
from telemetry.bound import Bound, BoundCounter, BoundFact, BoundLevel
from telemetry.bound_histogram import BoundHistogram
from telemetry.catalogue import ALL, CounterSpec, FactSpec, HistogramSpec, LevelSpec, Spec
from telemetry.catalogue import telemetry as own

L = TypeVar("L", bound=Mapping[str, object])


class Instruments:
    """Every instrument of the catalogue, bound once per process.

    Args:
        start: Starts the pipeline of this process; called at the first event, again after a fork.
        constant_labels: Labels on every series (``environment``, where no collector adds it).
    """

    def __init__(
        self, start: Callable[[], None] = lambda: None, constant_labels: Mapping[str, str] | None = None
    ) -> None:
        self.constant_labels = dict(constant_labels or {})
        self._start = start
        self._on_collect: list[Callable[[], None]] = []
        self._on_reset: list[Callable[[], None]] = []
        self._bound: dict[str, Bound[Any]] = {spec.name: _bind(spec, self) for spec in ALL}

    def counter(self, spec: CounterSpec[L]) -> BoundCounter[L]:
        """The bound instrument of a counter."""
        return cast("BoundCounter[L]", self._bound[spec.name])

    def histogram(self, spec: HistogramSpec[L]) -> BoundHistogram[L]:
        """The bound instrument of a histogram."""
        return cast("BoundHistogram[L]", self._bound[spec.name])

    def level(self, spec: LevelSpec[L]) -> BoundLevel[L]:
        """The bound instrument of a level."""
        return cast("BoundLevel[L]", self._bound[spec.name])

    def fact(self, spec: FactSpec[L]) -> BoundFact[L]:
        """The bound instrument of a fact."""
        return cast("BoundFact[L]", self._bound[spec.name])

    def on_collect(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` at each collection, before anything is read."""
        self._on_collect.append(callback)

    def on_reset(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the series are dropped: whoever holds on to one must let go."""
        self._on_reset.append(callback)

    def _collecting(self, options: CallbackOptions) -> Iterable[Observation]:
        for callback in self._on_collect:
            with guard.guarded("preparing a collection"):
                callback()
        for bound in self._bound.values():
            if isinstance(bound, BoundHistogram):
                bound.hand_over()
        return ()

    def attach(self, meter: Meter) -> None:
        """Create every SDK instrument with ``meter``."""
        meter.create_observable_gauge("telemetry_collection", [self._collecting])
        for bound in self._bound.values():
            bound.attach(meter)

    def reset(self) -> None:
        """Drop everything recorded: the state of a new process."""
        for bound in self._bound.values():
            bound.reset()
        for callback in self._on_reset:
            callback()

    def declare_closed(self) -> None:
        """Declare the zero series of every counter whose label values are known from the catalogue."""
        for bound in self._bound.values():
            if isinstance(bound, BoundCounter):
                bound.declare_closed()

    def ensure_started(self) -> None:
        """Start the pipeline where it is not running: at the first event of a process."""
        self._start()

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
        """Count what the collector refuses for good, by metric."""
        for metric, amount in amounts.items():
            self.counter(own.UNDELIVERED).add(amount, {"metric": metric})


def _bind(spec: Spec[Any], owner: Instruments) -> Bound[Any]:
    match spec:
        case CounterSpec():
            return BoundCounter(spec, owner)
        case HistogramSpec():
            return BoundHistogram(spec, owner)
        case LevelSpec():
            return BoundLevel(spec, owner)
        case FactSpec():
            return BoundFact(spec, owner)
    raise TypeError(f"{spec.name}: no instrument for {type(spec).__name__}")
