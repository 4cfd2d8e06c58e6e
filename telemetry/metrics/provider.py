"""The meter provider of a process: its meters, the streams of their instruments, and the box these count into."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import Any, Protocol

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions
from opentelemetry.sdk.metrics.view import View
from opentelemetry.util.types import Attributes

from telemetry.box.box import Box
from telemetry.box.exemplars import Exemplar
from telemetry.box.identity import Identity, Kind, Scope
from telemetry.box.segment import Segment
from telemetry.box.storage import Memory
from telemetry.metrics import instruments, views
from telemetry.metrics.attributes import canonical
from telemetry.metrics.clamp import LabelClamp
from telemetry.metrics.exemplars import CURRENT, ExemplarFilter
from telemetry.metrics.meter import Meter
from telemetry.metrics.series import GaugeSeries, LevelSeries, Series
from telemetry.metrics.stream import MOST_SERIES, CataloguedStream, FreeStream, Stream
from telemetry.steps import complete

_logger = logging.getLogger("telemetry")


class Owner(Protocol):
    """Whose process it is."""

    def make_box(self) -> Box:
        """The box of the calling process; asked for again after a fork."""

    def substitute(self, instrument: views.Instrument, make: Callable[[], api.Instrument]) -> api.Instrument | None:
        """What takes the place of an instrument whose measurements belong to another metric; ``make`` makes it."""

    def first_counted(self) -> None:
        """This process counts into a series for the first time."""

    def label_overflowed(self, metric: str) -> None:
        """The labels of an event were replaced."""

    def value_rejected(self, metric: str) -> None:
        """The value of an event was not a legal one."""

    def force_flush(self, timeout: float) -> bool:
        """Let everything that is recorded leave; whether it did within ``timeout`` seconds."""

    def shutdown(self) -> None:
        """The same for the last time."""


class Nobody:
    """Counts are kept in memory, and nobody is told anything."""

    def make_box(self) -> Box:
        """A box that ends with the process."""
        return Box(Memory(), {})

    def substitute(self, instrument: views.Instrument, make: Callable[[], api.Instrument]) -> api.Instrument | None:
        """Every instrument counts as it is."""

    def first_counted(self) -> None:
        """Nothing starts."""

    def label_overflowed(self, metric: str) -> None:
        """Nobody counts it."""

    def value_rejected(self, metric: str) -> None:
        """Nobody counts it."""

    def force_flush(self, timeout: float) -> bool:
        """There is nowhere to go."""
        return True

    def shutdown(self) -> None:
        """There is nothing to end."""


class MeterProvider(api.MeterProvider):
    """OpenTelemetry's API over a box: what counts here outlives its process, whoever made the instrument.

    Args:
        selected_by: The SDK's views that give instruments their streams.
        clamp_of: What the catalogue allows as labels of a stream; ``None`` for a stream that is not catalogued.
        owner: Whose process it is.
        exemplars: Which values are kept as exemplars.
        aggregation: What a histogram is, where nothing says what buckets it has.

    Attributes:
        current_span: What asks for the span of an exemplar; ``None`` where none are kept.
        lock: Held while a series is made or placed, and while an export is prepared.
    """

    def __init__(
        self,
        selected_by: Sequence[View] = (),
        *,
        clamp_of: Callable[[str], LabelClamp | None] = lambda name: None,
        owner: Owner | None = None,
        exemplars: ExemplarFilter = "always_off",
        aggregation: views.HistogramAggregation = views.EXPLICIT,
    ) -> None:
        self._views = selected_by
        self._clamp_of = clamp_of
        self._owner = owner or Nobody()
        self.substitute = self._owner.substitute
        self.label_overflowed = self._owner.label_overflowed
        self.value_rejected = self._owner.value_rejected
        self._aggregation = aggregation
        self.current_span = CURRENT[exemplars]
        self.lock = threading.RLock()
        self._box: Box | None = None
        self._meters: dict[tuple[Any, ...], Meter] = {}
        self._streams: list[Stream] = []
        self._observables: list[instruments.Observable] = []

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        """The meter of a library; what is asked for twice exists once."""
        if not name:
            _logger.warning("a meter without a name is asked for: metrics of it do not say which library counts")
        keys, values = canonical(attributes or {})
        scope = Scope(str(name or ""), version or None, schema_url or None, tuple(zip(keys, values, strict=True)))
        with self.lock:
            key = (scope.name, scope.version, scope.schema_url, repr(scope.attributes))
            return self._meters.setdefault(key, Meter(scope, self))

    def notes(self, name: str) -> Stream:
        """A stream of this code's own, which no exporter sees: what has to be come back to, also after a death."""
        return FreeStream(Identity(name, Kind.NOTE), self, most=MOST_SERIES)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Export what is recorded now; whether everything was acknowledged in time."""
        return self._owner.force_flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Export what is left, within ``TELEMETRY_EXIT_DEADLINE``; what counts afterwards goes nowhere."""
        self._owner.shutdown()

    # --- what instruments ask for -------------------------------------------------------------------------------------

    def streams_of(self, instrument: views.Instrument) -> list[Stream]:
        """The streams of a new instrument, by the views."""
        made = [self._stream(selected) for selected in views.streams_of(instrument, self._views, self._aggregation)]
        self._streams += made
        return made

    def _stream(self, selected: views.Selected) -> Stream:
        clamp = self._clamp_of(selected.identity.name)
        if clamp is not None:
            return CataloguedStream(selected.identity, self, clamp)
        return FreeStream(selected.identity, self, selected.allowed)

    def observe(self, instrument: instruments.Observable) -> None:
        """Ask a new instrument at each collection."""
        self._observables = [*self._observables, instrument]

    def place(self, series: Series) -> None:
        """Give a series cells in the box of this process, where it has none."""
        self._owner.first_counted()
        if series.stream.is_standing:
            return
        with self.lock:
            if not _has_cells(series):
                placed: list[Segment] = []
                complete([lambda: placed.append(self.box.place(series)), lambda: series.move(placed[-1].cells)])

    def keep_exemplar(self, series: Series, bucket: int, exemplar: Exemplar) -> None:
        """Keep an exemplar in the box of this process, where the series has its cells there."""
        box = self._box
        if box is not None and not box.keep_exemplar(series, series.cells, bucket, exemplar):
            with self.lock:
                box.make_room_for_exemplars()
            box.keep_exemplar(series, series.cells, bucket, exemplar)

    @property
    def box(self) -> Box:
        """The box of this process, made where it does not exist."""
        with self.lock:
            if self._box is None:
                self._box = self._owner.make_box()
            return self._box

    @property
    def has_box(self) -> bool:
        """Whether there is one: something has counted since the process began, was forked or renewed its box."""
        return self._box is not None

    @property
    def path(self) -> Path | None:
        """The file that the box of this process is in; ``None`` where there is none."""
        return None if self._box is None else self._box.path

    # --- collections --------------------------------------------------------------------------------------------------

    def collect(self, timeout_millis: float = 10_000) -> None:
        """Ask every observable instrument."""
        for instrument in self._observables:
            instrument.collect(CallbackOptions(timeout_millis))

    def standing(self) -> Iterator[Series]:
        """Every level and gauge; a gauge that nobody set is not there."""
        for stream in list(self._streams):
            for series in stream.all() if stream.is_standing else ():
                if not isnan(series.standing()):
                    yield series

    def renew(self) -> Box | None:
        """Count into a new box from now on; the one before, whose counts can still be exported."""
        with self.lock:
            box, self._box = self._box, None
            if box is not None:
                box.revoke()
            return box

    def after_fork_in_child(self) -> None:
        """Begin at nothing: the box is the parent's, and whoever holds on to a series counts into a new one."""
        self.lock = threading.RLock()
        box, self._box = self._box, None
        if box is not None:
            box.leave()
        for stream in self._streams:
            for series in stream.all() if stream.is_standing else ():
                if isinstance(series, LevelSeries):
                    series.value = 0.0
                elif isinstance(series, GaugeSeries):
                    series.value = float("nan")
        for instrument in self._observables:
            instrument.after_fork_in_child()


def _has_cells(series: Series) -> bool:
    try:
        series.cells[series.slot]
    except ValueError:
        return False
    return True
