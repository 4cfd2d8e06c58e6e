"""Creates instruments: each with the streams that views give it, each once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from math import isfinite
from typing import Any, Protocol, cast

from opentelemetry import metrics as api
from opentelemetry.metrics import Instrument as InstrumentApi

from telemetry import guard
from telemetry.box.identity import Scope
from telemetry.metrics import instruments, views
from telemetry.metrics.stream import Stream

_logger = logging.getLogger("telemetry")

_CLASSES: Mapping[str, Any] = {
    "Counter": instruments.Counter,
    "UpDownCounter": instruments.UpDownCounter,
    "Histogram": instruments.Histogram,
    "Gauge": instruments.Gauge,
    "ObservableCounter": instruments.ObservableCounter,
    "ObservableUpDownCounter": instruments.ObservableUpDownCounter,
    "ObservableGauge": instruments.ObservableGauge,
}
_SILENT: Mapping[str, Any] = {
    "Counter": api.NoOpCounter,
    "UpDownCounter": api.NoOpUpDownCounter,
    "Histogram": api.NoOpHistogram,
    "Gauge": api._NoOpGauge,  # noqa: SLF001 - the name under which the API exports it
    "ObservableCounter": api.NoOpObservableCounter,
    "ObservableUpDownCounter": api.NoOpObservableUpDownCounter,
    "ObservableGauge": api.NoOpObservableGauge,
}


class Maker(Protocol):
    """Who owns the streams of instruments."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while an instrument is made."""

    def substitute(self, instrument: views.Instrument, make: Callable[[], InstrumentApi]) -> InstrumentApi | None:
        """What takes the place of an instrument whose measurements belong to another metric; ``make`` makes it."""

    def streams_of(self, instrument: views.Instrument) -> Sequence[Stream]:
        """The streams of a new instrument; none where its measurements go nowhere."""

    def observe(self, instrument: instruments.Observable) -> None:
        """Ask a new instrument at each collection."""


class Meter(api.Meter):
    """The instruments of one library. What is asked for twice exists once; nothing raises into who asks.

    Args:
        scope: Which library.
        maker: Who owns their streams.
    """

    def __init__(self, scope: Scope, maker: Maker) -> None:
        super().__init__(scope.name, scope.version, scope.schema_url)
        self._scope = scope
        self._maker = maker
        self._made: dict[tuple[str, ...], tuple[views.Instrument, InstrumentApi]] = {}

    def create_counter(self, name: str, unit: str = "", description: str = "") -> api.Counter:
        """A total that only grows."""
        return cast("api.Counter", self._create("Counter", name, unit, description))

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> api.UpDownCounter:
        """A sum that goes up and down."""
        return cast("api.UpDownCounter", self._create("UpDownCounter", name, unit, description))

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> api._Gauge:
        """A value that somebody sets."""
        return cast("instruments.Gauge", self._create("Gauge", name, unit, description))

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> api.Histogram:
        """A distribution, with the buckets that are advised unless a view has others."""
        bounds = _bounds(name, explicit_bucket_boundaries_advisory)
        return cast("api.Histogram", self._create("Histogram", name, unit, description, bounds=bounds))

    def create_observable_counter(
        self,
        name: str,
        callbacks: Sequence[api.CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> api.ObservableCounter:
        """A total that somebody else counts, asked for at each collection."""
        return cast("api.ObservableCounter", self._create("ObservableCounter", name, unit, description, callbacks))

    def create_observable_up_down_counter(
        self,
        name: str,
        callbacks: Sequence[api.CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> api.ObservableUpDownCounter:
        """A sum that goes up and down, asked for at each collection."""
        made = self._create("ObservableUpDownCounter", name, unit, description, callbacks)
        return cast("api.ObservableUpDownCounter", made)

    def create_observable_gauge(
        self,
        name: str,
        callbacks: Sequence[api.CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> api.ObservableGauge:
        """A value, asked for at each collection."""
        return cast("api.ObservableGauge", self._create("ObservableGauge", name, unit, description, callbacks))

    def _create(
        self,
        kind: str,
        name: str,
        unit: str,
        description: str,
        callbacks: Sequence[api.CallbackT] | None = None,
        bounds: tuple[float, ...] | None = None,
    ) -> InstrumentApi:
        try:
            checked = InstrumentApi._check_name_unit_description(name, unit, description)  # noqa: SLF001 - for meters
            wrong = [word for word in ("name", "unit") if checked[word] is None]
            if not wrong:
                found = (name.lower(), checked["unit"] or "", checked["description"] or "")
                return self._known_or_made(views.Instrument(kind, *found, self._scope, bounds), callbacks)
            _logger.error(
                "the %s of an instrument is not valid (name=%r, unit=%r) and nothing is measured with it: "
                "see OpenTelemetry's instrument name syntax",
                " and ".join(wrong),
                name,
                unit,
            )
        except Exception as error:
            guard.swallow(error, f"creating the instrument {name!r}")
        return silent(kind, name)

    def _known_or_made(self, instrument: views.Instrument, callbacks: Sequence[api.CallbackT] | None) -> InstrumentApi:
        key = (instrument.kind, instrument.name, instrument.unit, instrument.description)
        with self._maker.lock:
            known = self._made.get(key)
            if known is None:
                known = self._made[key] = instrument, self._make(instrument, callbacks)
        if known[0].bounds != instrument.bounds:
            _logger.warning("%s exists already with other buckets, which stay: %s", instrument.name, known[0].bounds)
        return known[1]

    def _make(self, instrument: views.Instrument, callbacks: Sequence[api.CallbackT] | None) -> InstrumentApi:
        def made() -> InstrumentApi:
            return self._made_as_it_is(instrument, callbacks)

        return self._maker.substitute(instrument, made) or made()

    def _made_as_it_is(self, instrument: views.Instrument, callbacks: Sequence[api.CallbackT] | None) -> InstrumentApi:
        streams = self._maker.streams_of(instrument)
        kind = _CLASSES[instrument.kind]
        if not instrument.kind.startswith("Observable"):
            return cast("InstrumentApi", kind(instrument.name, streams))
        observable = kind(instrument.name, streams, callbacks)
        if streams:
            self._maker.observe(observable)
        return cast("InstrumentApi", observable)


def silent(kind: str, name: str) -> InstrumentApi:
    """An instrument of a kind that measures nothing."""
    made: InstrumentApi = _SILENT[kind](name)
    return made


def _bounds(name: str, advised: Any) -> tuple[float, ...] | None:
    """Buckets as they are advised; ``None`` where that is nothing to use."""
    if advised is None:
        return None
    try:
        bounds = tuple(float(bound) for bound in advised)
    except (TypeError, ValueError, OverflowError):
        bounds = (float("nan"),)
    if all(map(isfinite, bounds)) and all(a < b for a, b in pairwise(bounds)):
        return bounds
    _logger.warning("the buckets advised for %s are not used: they have to be finite numbers that ascend", name)
    return None
