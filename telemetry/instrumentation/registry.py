"""Takes what an application counts with ``prometheus_client``: its default registry, read at each collection.

Counters and histograms grow by what they grew since the last collection, and a forked child begins at what its parent
had counted when it was forked: the library's own metrics are read then, the collectors of others, which may take their
time, are not, and count from the collection before. Gauges are levels of the process. What a killed process had counted
since its last collection is lost, for it was in its memory alone.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
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
MOST_GONE = 2000
"""Series that are gone from the registry, of which it is remembered what they had: a collector may bring them back."""
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
_SCOPE = Scope("prometheus_client", None, None, ())

Labels = tuple[tuple[str, str], ...]


class Collects(Protocol):
    """A registry of ``prometheus_client``."""

    def collect(self) -> Iterable[Any]:
        """Families of samples."""


class _Total(NamedTuple):
    """One series of a counter or a histogram as it stands.

    Attributes:
        amounts: Its amount, or its buckets and their sum.
        created: When it began, in seconds since 1970; 0 where that is not told.
    """

    metric: str
    labels: Labels
    amounts: tuple[float, ...]
    created: float = 0.0

    @property
    def key(self) -> tuple[str, Labels]:
        """Tells it from other series."""
        return self.metric, self.labels

    def since(self, before: _Total | None) -> tuple[float, ...]:
        """The amounts from which it has grown to its own: what it was before, or nothing if it has begun anew."""
        is_same = before is not None and before.created == self.created and len(before.amounts) == len(self.amounts)
        return before.amounts if before is not None and is_same else (0.0,) * len(self.amounts)


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
        self._seen: dict[tuple[str, Labels], _Total] = {}
        self._at_fork: dict[tuple[str, Labels], _Total] = {}
        self._streams: dict[tuple[str, str, tuple[float, ...]], Stream | None] = {}

    def collect(self) -> None:
        """Take what the metrics grew by, and how the levels stand."""
        with self._lock:
            there = 0
            for family in self._families():
                stream = self._stream(family)
                if stream is not None:
                    self._take(family, stream)
                    there += len(family.totals)
            self._forget(len(self._seen) - there - MOST_GONE)

    def _forget(self, count: int) -> None:
        """So many of those that are gone, longest ago first."""
        for key in list(islice(self._seen, max(0, count))):
            del self._seen[key]

    def before_fork(self) -> None:
        """Remember what this process has counted, which a child finds in its memory, too.

        It waits for no lock of ours: who forks may hold what who collects waits for. What another thread counts between
        this and the fork, the child counts, too.
        """
        if MULTIPROCESS in os.environ:
            return
        own = {total.key: total for family in self._families(only_own=True) for total in family.totals}
        self._at_fork = {**self._seen, **own}

    def after_fork_in_child(self) -> None:
        """Begin at what was counted before; in its multiprocess mode the library itself begins at nothing."""
        self._lock = threading.Lock()
        self._seen = {} if MULTIPROCESS in os.environ else self._at_fork

    def _families(self, *, only_own: bool = False) -> Iterator[_Family]:
        for collector in _collectors(self._registry):
            is_own = _is_own(collector)
            if is_own or not only_own:
                for family in collector.collect():
                    yield from _read(family, is_own=is_own)

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
        series = stream.bind(dict(total.labels))
        before = total.since(self._seen.pop(total.key, None))  # those that are gone stay in front
        if isinstance(series, HistogramSeries):
            self._seen[total.key] = total._replace(amounts=self._spread(total.amounts, before, series, stream))
            return
        self._seen[total.key] = total
        amount, stood = total.amounts[0], before[0]
        if isfinite(amount) or isfinite(stood):  # one that is no number any more is reported once
            series.update(amount - stood if stood <= amount else amount)

    def _spread(
        self, amounts: tuple[float, ...], before: tuple[float, ...], series: HistogramSeries, stream: Stream
    ) -> tuple[float, ...]:
        """Take what a distribution grew by, and return what is taken of it: buckets whole, of a sum no fall."""
        if any(map(lt, amounts[:-1], before[:-1])):
            before = (0.0,) * len(amounts)
        counts, grown = tuple(map(sub, amounts[:-1], before[:-1])), amounts[-1] - before[-1]
        is_sum = 0 <= grown < LARGEST  # the library takes negative values and NaN as well
        if not is_sum and any(counts):
            stream.take_unusual(series, grown)
        with self._provider.lock:
            self._provider.place(series)
            series.grow(counts, grown if is_sum else 0.0)
        return amounts if is_sum else (*amounts[:-1], before[-1])


def _collectors(registry: Collects) -> Sequence[Collects]:
    """What a registry is made of; of one that does not tell, all that it has at once."""
    return list(getattr(registry, "_collector_to_names", (registry,)))


def _is_own(collector: Collects) -> bool:
    """Whether it is of the library itself: in memory, and with the time at which a series began."""
    return type(collector).__module__.partition(".")[0] == "prometheus_client"


def _stand_at(stream: Stream, levels: Iterable[tuple[Labels, float]]) -> None:
    with stream.lock:
        standing = [(stream.bind(dict(labels)), value) for labels, value in levels]
        if len({series for series, _ in standing}) < len(stream.all()):
            stream.clear()  # a series that is not there any more is gone
            standing = [(stream.bind(dict(labels)), value) for labels, value in levels]
        for series, value in standing:
            cast("LevelSeries", series).stand_at(value)


def _read(family: Any, *, is_own: bool) -> Iterator[_Family]:
    """A family in our words; those that have no counterpart (info, states, untyped) are left out.

    Args:
        family: Of the library.
        is_own: Whether its series say truly when they began; others may tell another time at each collection.
    """
    name, text = str(family.name), str(family.documentation)
    created = _created(family) if is_own else {}
    if family.type == "counter":
        counted = [(s.name, _labels(s.labels), float(s.value)) for s in family.samples if not _tells_creation(s)]
        totals = tuple(_Total(name, labels, (value,), created.get(labels, 0.0)) for name, labels, value in counted)
        if totals:
            yield _Family(totals[0].metric, text, "Counter", totals=totals)
    elif family.type == "gauge":
        samples = (sample for sample in family.samples if isfinite(sample.value))
        yield _Family(name, text, "UpDownCounter", levels=tuple((_labels(s.labels), float(s.value)) for s in samples))
    elif family.type in {"histogram", "summary"}:
        yield from _distribution(name, text, family.samples, created)


def _tells_creation(sample: Any) -> bool:
    return bool(sample.name.endswith("_created"))


def _created(family: Any) -> Mapping[Labels, float]:
    """When each series began, of those that tell it."""
    return {_labels(sample.labels): float(sample.value) for sample in family.samples if _tells_creation(sample)}


def _distribution(name: str, text: str, samples: Iterable[Any], created: Mapping[Labels, float]) -> Iterator[_Family]:
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
        total = _Total(name, labels, (*counts, sums[labels]), created.get(labels, 0.0))
        by_bounds[tuple(bounds[:-1])].append(total)
    for finite, totals in by_bounds.items():
        yield _Family(name, text, "Histogram", finite, tuple(totals))


def _labels(labels: Mapping[str, str], without: str = "") -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if name != without))
