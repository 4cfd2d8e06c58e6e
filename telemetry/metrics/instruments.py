"""The seven instruments of OpenTelemetry's metrics API; where their series are is in ``stream.py``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from opentelemetry import metrics as api
from opentelemetry.context import Context, attach, detach
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.util.types import Attributes

from telemetry import guard
from telemetry.metrics.series import GaugeSeries, LevelSeries, Series
from telemetry.metrics.stream import Stream

Observed = list[tuple[Mapping[str, Any] | None, float]]


class _Synchronous:
    """An instrument that the application records with.

    Args:
        name: Its name.
        streams: What it records, one for each view.

    Attributes:
        streams: What it records.
    """

    verb: ClassVar[str]

    def __init__(self, name: str, streams: Sequence[Stream]) -> None:
        self.name = name
        self.streams = streams
        if len(streams) == 1:  # as good as always: one call less for each event
            setattr(self, self.verb, streams[0].update)

    def _update(self, amount: float, attributes: Mapping[str, Any] | None) -> None:
        for stream in self.streams:
            stream.update(amount, attributes)


class Counter(_Synchronous, api.Counter):
    """A total that only grows."""

    verb = "add"

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Count ``amount`` (0 or more); anything else is not counted but reported. Never raises."""
        self._update(amount, attributes)


class UpDownCounter(_Synchronous, api.UpDownCounter):
    """A sum that goes up and down and ends with its process."""

    verb = "add"

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Move the level by a finite ``amount``; anything else is reported. Never raises."""
        self._update(amount, attributes)


class Histogram(_Synchronous, api.Histogram):
    """A distribution."""

    verb = "record"

    def __init__(self, name: str, streams: Sequence[Stream]) -> None:
        super().__init__(name, streams)
        if any(stream.current_span is not None for stream in streams):
            self._record = getattr(self, self.verb)
            setattr(self, self.verb, self._record_in)

    def _record_in(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Record while this is the current context, whose span an exemplar names."""
        if context is None:
            self._record(amount, attributes)
            return
        token = attach(context)
        try:
            self._record(amount, attributes)
        finally:
            detach(token)

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Record ``amount`` (0 or more); anything else is not recorded but reported. Never raises."""
        self._update(amount, attributes)


class Gauge(_Synchronous, api._Gauge):  # noqa: SLF001 - the name under which the API exports it
    """A value that somebody sets."""

    verb = "set"

    def set(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Set the value; one that is not finite is reported. Never raises."""
        self._update(amount, attributes)


class _Asynchronous:
    """An instrument that is asked at each collection.

    Args:
        name: Its name.
        streams: What it records, one for each view.
        callbacks: Who is asked.

    Attributes:
        streams: What it records.
    """

    def __init__(self, name: str, streams: Sequence[Stream], callbacks: Iterable[Any] | None = None) -> None:
        self.name = name
        self.streams = streams
        self._callbacks = [_called(callback) for callback in callbacks or ()]
        self._totals: dict[Series, float] = {}
        self._is_forked = False

    def collect(self, options: CallbackOptions) -> None:
        """Ask every callback; one that fails takes nobody's observations with it but its own."""
        observed: Observed = []
        for callback in self._callbacks:
            with guard.guarded(f"observing {self.name}"):
                observed += [(one.attributes, one.value) for one in callback(options)]
        for stream in self.streams:
            with guard.guarded(f"taking what {self.name} observed"), stream.lock:
                self._take(stream, observed)
        self._is_forked = False

    def _take(self, stream: Stream, observed: Observed) -> None:
        series = [stream.bind(attributes) for attributes, _ in observed]
        if stream.is_standing and len(set(series)) < len(stream.all()):
            stream.clear()  # a series that is not observed any more is gone
            series = [stream.bind(attributes) for attributes, _ in observed]
        # What lands on one series adds up: a view may leave out what told it apart. Of a gauge the last one wins.
        levels: dict[Series, float] = {}
        for one, (_, value) in zip(series, observed, strict=True):
            levels[one] = value + (0.0 if isinstance(one, GaugeSeries) else levels.get(one, 0.0))
        for one, value in levels.items():
            if isinstance(one, LevelSeries | GaugeSeries):
                one.stand_at(value)
            else:
                self._grow(one, value)

    def _grow(self, series: Series, total: float) -> None:
        """Count what a total grew by that somebody else counts; what a forked child finds at first is its parent's."""
        before = self._totals.get(series, total if self._is_forked else 0.0)
        self._totals[series] = total
        series.update(total - before if total >= before else total)

    def after_fork_in_child(self) -> None:
        """Begin at the totals that are observed next."""
        self._totals = {}
        self._is_forked = True


class ObservableCounter(_Asynchronous, api.ObservableCounter):
    """A total that somebody else counts."""


class ObservableUpDownCounter(_Asynchronous, api.ObservableUpDownCounter):
    """A sum that goes up and down, as it stands at each collection."""


class ObservableGauge(_Asynchronous, api.ObservableGauge):
    """A value, as it is at each collection."""


Observable = ObservableCounter | ObservableUpDownCounter | ObservableGauge


def _called(callback: Any) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """The API takes generators as well: they get the options and yield the observations of one collection."""
    if not isinstance(callback, Generator):
        return callback  # type: ignore[no-any-return]
    next(callback)

    def send(options: CallbackOptions) -> Iterable[Observation]:
        try:
            return callback.send(options)  # type: ignore[no-any-return]
        except StopIteration:
            return ()

    return send
