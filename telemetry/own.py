"""The verbs of a user's own metrics: made where a module is imported, they count into whatever is configured then.

``ORDERS = telemetry.counter(ORDERS_PLACED)`` stands beside the declaration; ``ORDERS.add(1, {"plan": "free"})`` counts
where the event happens. It is safe before ``configure()``, where nobody counts yet, in forked children and in tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from weakref import WeakSet

from telemetry import guard, process
from telemetry.catalogue import CounterSpec, FactSpec, HistogramSpec, LevelSpec, Spec
from telemetry.metrics.bound import Bound, BoundCounter, BoundFact, BoundHistogram, BoundLevel, Reading
from telemetry.metrics.catalogue_instruments import Instruments

if TYPE_CHECKING:
    from telemetry.setup import Telemetry

L = TypeVar("L", bound=Mapping[str, object])
B = TypeVar("B", bound=Bound[Any])
Reader = Callable[[], Iterable[tuple[L, float]]]

MOST_DECLARED = 1000
_NOTHING_YET: Any = object(), None


class Own(Generic[L, B]):
    """What the verbs of every own metric share.

    Args:
        spec: The declaration.

    Attributes:
        spec: The declaration.

    Raises:
        TypeError: If the metric is declared as another kind; the message names what to call instead.
    """

    declared_as: ClassVar[type[Spec[Any]]]

    def __init__(self, spec: Spec[L], make: Callable[[Instruments], B]) -> None:
        if not isinstance(spec, self.declared_as):
            remedy = f"call telemetry.{spec.kind}()" if isinstance(spec, Spec) else "import it from telemetry.catalogue"
            raise TypeError(f"{getattr(spec, 'name', spec)} is declared by no {self.declared_as.__name__}: {remedy}")
        self.spec = spec
        self._make = make
        self._followed: tuple[object, B] = _NOTHING_YET
        self._declared: dict[tuple[object, ...], L] = {}

    def _bound(self) -> B:
        """The instrument in whatever is configured now."""
        of, bound = self._followed
        return bound if process.current.configured is of else self._follow()

    def _follow(self) -> B:
        configured = process.current.configured
        bound = self._make((configured or process.current.silent()).instruments)
        self._followed = configured, bound
        return bound

    def declare(self, labels: L) -> None:
        """Let a series of an open label exist at 0 before its first event; those of closed ones do by themselves.

        Never raises.
        """
        with guard.guarded(f"declaring a series of {self.spec.name}"):
            if len(self._declared) < MOST_DECLARED:
                if not self._declared:
                    process.lifetime.configured.subscribe(partial(Own._declare_again, self))
                self._declared[tuple(sorted(labels.items()))] = labels
            if process.current.configured is not None:
                self._bound().declare(labels)

    def _declare_again(self, configured: object) -> None:
        bound = self._bound()
        for labels in list(self._declared.values()):
            bound.declare(labels)


class Counter(Own[L, BoundCounter[L]]):
    """A total that only grows."""

    declared_as = CounterSpec

    def __init__(self, spec: CounterSpec[L]) -> None:
        super().__init__(spec, lambda instruments: instruments.counter(spec))

    def add(self, amount: float, labels: L) -> None:
        """Count an amount (0 or more) in the series with these labels; one that is not is reported. Never raises."""
        of, bound = self._followed  # as _bound() does, without the call
        (bound if process.current.configured is of else self._follow()).add(amount, labels)


class Histogram(Own[L, BoundHistogram[L]]):
    """A distribution."""

    declared_as = HistogramSpec

    def __init__(self, spec: HistogramSpec[L]) -> None:
        super().__init__(spec, lambda instruments: instruments.histogram(spec))

    def record(self, amount: float, labels: L) -> None:
        """Record a value (0 or more) in the series with these labels; one that is not is reported. Never raises."""
        of, bound = self._followed  # as _bound() does, without the call
        (bound if process.current.configured is of else self._follow()).record(amount, labels)


class Level(Own[L, BoundLevel[L]]):
    """A level of each process, which adds up over processes: counted up and down, or read where the truth is.

    Whichever comes first holds in a process; the other counts for nobody, and the log says so.
    """

    declared_as = LevelSpec

    def __init__(self, spec: LevelSpec[L]) -> None:
        super().__init__(spec, lambda instruments: instruments.level(spec))
        self._level = spec

    def add(self, amount: float, labels: L) -> None:
        """Move the series with these labels by an amount, which may be negative. Never raises."""
        of, bound = self._followed  # as _bound() does, without the call
        (bound if process.current.configured is of else self._follow()).add(amount, labels)

    def read_from(self, reader: Reader[L]) -> OwnReading[L]:
        """Take the level from ``reader`` at each collection instead, until the reading is closed; equal labels add up.

        Args:
            reader: Series with their values. It may run in any thread; where it raises, the level is absent.
        """
        return OwnReading(self._level, reader)


class OwnReading(Generic[L]):
    """One reader of a level, in whatever is configured, until it is closed."""

    def __init__(self, spec: LevelSpec[L], reader: Reader[L]) -> None:
        self._spec = spec
        self._reader = reader
        self._readings: WeakSet[Reading[L]] = WeakSet()
        self._subscription = process.when_configured(partial(OwnReading._read_in, self))

    def _read_in(self, configured: Telemetry) -> None:
        self._readings.add(configured.instruments.observed_level(self._spec).read_from(self._reader))

    def close(self) -> None:
        """Read it no more; a second time does nothing."""
        self._subscription.close()
        for reading in list(self._readings):
            reading.close()


class Fact(Own[L, BoundFact[L]]):
    """A shared truth of the fleet as a process last read it; absent until read, absent when unreadable."""

    declared_as = FactSpec

    def __init__(self, spec: FactSpec[L]) -> None:
        super().__init__(spec, lambda instruments: instruments.fact(spec))

    def set_all(self, values: Iterable[tuple[L, float]]) -> None:
        """Replace every series by a fresh reading; a series that is not in it is gone. Never raises."""
        self._bound().set_all(values)

    def forget(self) -> None:
        """There is no reading: the metric becomes absent, which is not 0."""
        self._bound().forget()


def counter(spec: CounterSpec[L]) -> Counter[L]:
    """The verb of a counter that a module of one's own declares: ``.add(1, {"plan": "free"})``.

    Raises:
        TypeError: If it is declared as another kind.
    """
    return Counter(spec)


def histogram(spec: HistogramSpec[L]) -> Histogram[L]:
    """The verb of a histogram that a module of one's own declares: ``.record(0.2, {"plan": "free"})``.

    Raises:
        TypeError: If it is declared as another kind.
    """
    return Histogram(spec)


def level(spec: LevelSpec[L]) -> Level[L]:
    """The verbs of a level that a module of one's own declares: ``.add(-1, {"shop": "a"})`` or ``.read_from(reader)``.

    Raises:
        TypeError: If it is declared as another kind.
    """
    return Level(spec)


def fact(spec: FactSpec[L]) -> Fact[L]:
    """The verbs of a fact that a module of one's own declares: ``.set_all([({"plan": "free"}, 3)])``, ``.forget()``.

    Raises:
        TypeError: If it is declared as another kind.
    """
    return Fact(spec)
