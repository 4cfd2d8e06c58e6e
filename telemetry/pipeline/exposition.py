"""What the processes of a host counted as metric families of Prometheus' client library, which writes them out."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from prometheus_client import Metric
from prometheus_client.samples import Exemplar as PageExemplar
from prometheus_client.utils import floatToGoString

from telemetry.box.exemplars import Exemplar
from telemetry.box.host import Standing
from telemetry.box.identity import Entry, Identity, Kind
from telemetry.metrics import exponential
from telemetry.pipeline.sums import Labels, resource_labels

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_:]")
_TYPES = {Kind.HISTOGRAM: "histogram", Kind.LEVEL: "gauge", Kind.GAUGE: "gauge"}


@dataclass
class _Family:
    """A metric on the page.

    Attributes:
        kind: What it says.
        description: For people.
        numbers: What its series stand at.
        since: When a gauge was set.
        buckets: Bounds, counts and sum of histograms.
        exemplars: By which spans values of histograms were recorded, the oldest first.
    """

    kind: Kind
    description: str
    numbers: dict[Labels, float] = field(default_factory=dict)
    since: dict[Labels, float] = field(default_factory=dict)
    buckets: dict[Labels, tuple[tuple[float, ...], list[float], float]] = field(default_factory=dict)
    exemplars: dict[Labels, list[Exemplar]] = field(default_factory=dict)


def families(host: Iterable[Standing]) -> Iterator[Metric]:
    """Every metric, added up over processes: totals of all of them, levels of those that live, the newest gauge."""
    found: dict[str, _Family] = {}
    for standing in host:
        whose = resource_labels(standing.process)
        for entry, cells in standing.totals:
            family = _family(found, entry.identity)
            if family is not None:
                _add(family, entry, _labels(entry, whose), cells)
        for entry, exemplar in standing.exemplars:
            family = _family(found, entry.identity)
            if family is not None:
                family.exemplars.setdefault(_labels(entry, whose), []).append(exemplar)
        for entry, value, at in standing.page:
            family = _family(found, entry.identity)
            if family is not None:
                _stand(family, _labels(entry, whose), value, at)
    for name in sorted(found):
        yield _metric(name, found[name])


def _family(found: dict[str, _Family], identity: Identity) -> _Family | None:
    """The family of a metric; ``None`` where another one has its name and says something else."""
    family = found.setdefault(_name(identity.name), _Family(identity.kind, identity.description))
    return family if family.kind is identity.kind else None


@lru_cache(4096)
def _name(text: str) -> str:
    name = _NOT_IN_NAMES.sub("_", text)
    return f"_{name}" if name[:1].isdigit() else name


def _labels(entry: Entry, whose: Labels) -> Labels:
    labels: dict[str, str] = {}
    for key, value in zip(entry.keys, entry.values, strict=True):
        name = _name(key).replace(":", "_")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        labels[name] = f"{labels[name]};{text}" if name in labels else text
    return tuple(sorted((labels | dict(whose)).items()))


def _add(family: _Family, entry: Entry, labels: Labels, cells: Sequence[float]) -> None:
    if family.kind is not Kind.HISTOGRAM:
        family.numbers[labels] = family.numbers.get(labels, 0.0) + cells[0]
        return
    *counts, total = cells
    if not any(counts):  # no distribution yet: nobody recorded a value
        return
    own = entry.identity.bounds
    if exponential.are_bounds(own):  # the formats of this page have no exponential histograms
        own, counts = exponential.POWERS_OF_TWO, _spread(own, counts, exponential.POWERS_OF_TWO)
    known = family.buckets.get(labels)
    if known is None:
        family.buckets[labels] = own, counts, total
        return
    bounds = tuple(sorted({*known[0], *own}))
    both = zip(_spread(known[0], known[1], bounds), _spread(own, counts, bounds), strict=True)
    family.buckets[labels] = bounds, [a + b for a, b in both], known[2] + total


def _spread(bounds: tuple[float, ...], counts: list[float], wanted: tuple[float, ...]) -> list[float]:
    """Counts by other bounds: each bucket goes to the one that ends where it ends, or next after."""
    if bounds == wanted:
        return counts
    spread = [0.0] * (len(wanted) + 1)
    for bound, count in zip(bounds, counts, strict=False):
        spread[bisect_left(wanted, bound)] += count
    spread[-1] += counts[-1]
    return spread


def _stand(family: _Family, labels: Labels, value: float, at: float) -> None:
    if family.kind is Kind.LEVEL:
        family.numbers[labels] = family.numbers.get(labels, 0.0) + value
    elif at >= family.since.get(labels, float("-inf")):
        family.numbers[labels], family.since[labels] = value, at


def _metric(name: str, family: _Family) -> Metric:
    if family.kind is Kind.SUM and name.endswith("_total"):
        metric = Metric(name.removesuffix("_total"), family.description, "counter")
    else:
        metric = Metric(name, family.description, _TYPES.get(family.kind, "unknown"))
    for labels, value in family.numbers.items():
        metric.add_sample(name, dict(labels), value)
    for labels, (bounds, counts, total) in family.buckets.items():
        exemplars = sorted(family.exemplars.get(labels, ()), key=lambda exemplar: exemplar.at)
        newest = {bisect_left(bounds, exemplar.value): _shown(exemplar) for exemplar in exemplars}
        _add_buckets(metric, name, dict(labels), bounds, counts, total, newest)
    return metric


def _shown(exemplar: Exemplar) -> PageExemplar:
    labels = {"trace_id": exemplar.trace_id.hex(), "span_id": exemplar.span_id.hex()}
    return PageExemplar(labels, exemplar.value, round(exemplar.at / 1e9, 3))


def _add_buckets(
    metric: Metric,
    name: str,
    labels: dict[str, str],
    bounds: tuple[float, ...],
    counts: list[float],
    total: float,
    exemplars: Mapping[int, PageExemplar],
) -> None:
    count = 0.0
    for bucket, (bound, of_bucket) in enumerate(zip((*bounds, float("inf")), counts, strict=True)):
        count += of_bucket
        metric.add_sample(f"{name}_bucket", {**labels, "le": _bound(bound)}, count, exemplar=exemplars.get(bucket))
    metric.add_sample(f"{name}_count", labels, count)
    metric.add_sample(f"{name}_sum", labels, total)


def _bound(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]
