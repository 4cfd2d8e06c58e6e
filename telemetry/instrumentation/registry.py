"""Takes what an application counts with ``prometheus_client``: its default registry, read at each collection.

Counters and histograms grow by what they grew since the last collection, and a forked child begins at what its parent
had counted when it was forked; gauges are levels of the process. What a killed process had counted since its last
collection is lost, for it was in its memory alone.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from math import inf, isfinite
from operator import lt, sub
from typing import Any, NamedTuple, Protocol, cast

from telemetry.box.identity import Scope
from telemetry.metrics.provider import MeterProvider
from telemetry.metrics.series import LARGEST, HistogramSeries, LevelSeries
from telemetry.metrics.stream import Stream
from telemetry.metrics.views import Instrument

_logger = logging.getLogger("telemetry")

MOST_METRICS = 500
_SCOPE = Scope("prometheus_client", None, None, ())

Labels = tuple[tuple[str, str], ...]


class Collects(Protocol):
    """A registry of ``prometheus_client``."""

    def collect(self) -> Iterable[Any]:
        """Families of samples."""


class _Total(NamedTuple):
    """One series of a counter or a histogram as it stands: its amount, or its buckets and their sum."""

    metric: str
    labels: Labels
    amounts: tuple[float, ...]


class _Family(NamedTuple):
    """What the registry says of one metric.

    Attributes:
        kind: Of the instrument that stands for it.
        bounds: Of a histogram.
        totals: Its series, of a counter or a histogram.
        levels: Its series, of a gauge.
    """

    name: str
    help: str
    kind: str
    bounds: tuple[float, ...] = ()
    totals: tuple[_Total, ...] = ()
    levels: tuple[tuple[Labels, float], ...] = ()


class Registry:
    """The metrics of a registry as streams of a meter provider.

    Args:
        provider: Counts them.
        is_declared: Whether the catalogue declares a metric of this name, which then is not taken twice.
        registry: Of ``prometheus_client``.
    """

    def __init__(self, provider: MeterProvider, is_declared: Callable[[str], bool], registry: Collects) -> None:
        self._provider = provider
        self._is_declared = is_declared
        self._registry = registry
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, Labels], tuple[float, ...]] = {}
        self._at_fork: dict[tuple[str, Labels], tuple[float, ...]] = {}
        self._streams: dict[tuple[str, str, tuple[float, ...]], Stream | None] = {}

    def collect(self) -> None:
        """Take what the metrics grew by, and how the levels stand."""
        with self._lock:
            for family in self._families():
                stream = self._stream(family)
                if stream is not None:
                    self._take(family, stream)

    def before_fork(self) -> None:
        """Remember what this process has counted, which a child finds in its memory, too.

        It waits for no lock of ours: who forks may hold what who collects waits for. What another thread counts between
        this and the fork, the child counts, too.
        """
        self._at_fork = {
            (total.metric, total.labels): total.amounts for family in self._families() for total in family.totals
        }

    def after_fork_in_child(self) -> None:
        """Begin at what was counted before; in its multiprocess mode the library itself begins at nothing."""
        self._lock = threading.Lock()
        self._seen = {} if "PROMETHEUS_MULTIPROC_DIR" in os.environ else self._at_fork

    def _families(self) -> Iterator[_Family]:
        for family in self._registry.collect():
            yield from _read(family)

    def _stream(self, family: _Family) -> Stream | None:
        """Where a metric counts; nowhere for one that is declared, or one too many."""
        key = family.name, family.kind, family.bounds
        if key not in self._streams and len(self._streams) <= MOST_METRICS:
            self._streams[key] = self._made(family)
        return self._streams.get(key)

    def _made(self, family: _Family) -> Stream | None:
        if len(self._streams) == MOST_METRICS:
            _logger.warning("prometheus_client has more than %d metrics: those beyond are left out", MOST_METRICS)
            return None
        if self._is_declared(family.name):
            _logger.warning(
                "prometheus_client has %s, which telemetry counts, too: only ours is delivered; rename yours, or leave "
                "out what counts it",
                family.name,
            )
            return None
        instrument = Instrument(family.kind, family.name, "", family.help, _SCOPE, family.bounds)
        streams = self._provider.streams_of(instrument)
        return streams[0] if streams else None

    def _take(self, family: _Family, stream: Stream) -> None:
        for total in family.totals:
            self._grow(total, stream)
        if family.kind == "UpDownCounter":
            _stand_at(stream, family.levels)

    def _grow(self, total: _Total, stream: Stream) -> None:
        series, key = stream.bind(dict(total.labels)), (total.metric, total.labels)
        before = self._seen.get(key) or (0.0,) * len(total.amounts)
        if isinstance(series, HistogramSeries):
            self._seen[key] = self._spread(total.amounts, before, series, stream)
            return
        self._seen[key] = total.amounts
        amount, stood = total.amounts[0], before[0]
        if isfinite(amount) or isfinite(stood):  # one that is no number any more is reported once
            series.update(amount - stood if stood <= amount else amount)

    def _spread(
        self, amounts: tuple[float, ...], before: tuple[float, ...], series: HistogramSeries, stream: Stream
    ) -> tuple[float, ...]:
        """Take what a distribution grew by, and return what is taken of it: buckets whole, of a sum no fall."""
        if len(before) != len(amounts) or any(map(lt, amounts[:-1], before[:-1])):
            before = (0.0,) * len(amounts)
        counts, grown = tuple(map(sub, amounts[:-1], before[:-1])), amounts[-1] - before[-1]
        is_sum = 0 <= grown < LARGEST  # the library takes negative values and NaN as well
        if not is_sum and any(counts):
            stream.take_unusual(series, grown)
        with self._provider.lock:
            self._provider.place(series)
            series.grow(counts, grown if is_sum else 0.0)
        return amounts if is_sum else (*amounts[:-1], before[-1])


def _stand_at(stream: Stream, levels: Iterable[tuple[Labels, float]]) -> None:
    with stream.lock:
        standing = [(stream.bind(dict(labels)), value) for labels, value in levels]
        if len({series for series, _ in standing}) < len(stream.all()):
            stream.clear()  # a series that is not there any more is gone
            standing = [(stream.bind(dict(labels)), value) for labels, value in levels]
        for series, value in standing:
            cast("LevelSeries", series).stand_at(value)


def _read(family: Any) -> Iterator[_Family]:
    """A family in our words; those that have no counterpart (info, states, untyped) are left out."""
    name, text = str(family.name), str(family.documentation)
    if family.type == "counter":
        samples = (sample for sample in family.samples if not sample.name.endswith("_created"))
        totals = tuple(_Total(sample.name, _labels(sample.labels), (float(sample.value),)) for sample in samples)
        if totals:
            yield _Family(totals[0].metric, text, "Counter", totals=totals)
    elif family.type == "gauge":
        samples = (sample for sample in family.samples if isfinite(sample.value))
        yield _Family(name, text, "UpDownCounter", levels=tuple((_labels(s.labels), float(s.value)) for s in samples))
    elif family.type in {"histogram", "summary"}:
        yield from _distribution(name, text, family.samples)


def _distribution(name: str, text: str, samples: Iterable[Any]) -> Iterator[_Family]:
    """A histogram, or several where its series have different buckets; a summary has one bucket for all."""
    below: dict[Labels, dict[float, float]] = defaultdict(dict)
    sums: dict[Labels, float] = defaultdict(float)
    for sample in samples:
        labels = _labels(sample.labels, without="le")
        if sample.name == f"{name}_bucket":
            below[labels][float(sample.labels["le"])] = float(sample.value)
        elif sample.name == f"{name}_count":
            below[labels].setdefault(inf, float(sample.value))
        elif sample.name == f"{name}_sum":
            sums[labels] = float(sample.value)
    by_bounds: dict[tuple[float, ...], list[_Total]] = defaultdict(list)
    for labels, cumulative in below.items():
        bounds = sorted(cumulative)
        counts = (cumulative[bounds[0]], *(cumulative[b] - cumulative[a] for a, b in pairwise(bounds)))
        by_bounds[tuple(bounds[:-1])].append(_Total(name, labels, (*counts, sums[labels])))
    for finite, totals in by_bounds.items():
        yield _Family(name, text, "Histogram", finite, tuple(totals))


def _labels(labels: Mapping[str, str], without: str = "") -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if name != without))
