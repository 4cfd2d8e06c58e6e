"""What is in a box as the SDK's data classes, for the SDK's encoder; it sends nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from telemetry.box.box import Box
from telemetry.box.exemplars import Exemplar, OfSeries
from telemetry.box.header import Role
from telemetry.box.identity import Entry, Identity, Kind, Scope, attributes_of
from telemetry.box.segment import Moved, Segment
from telemetry.metrics import exponential
from telemetry.metrics.series import Series

SENDER, SEQUENCE = "telemetry.sender.id", "telemetry.sender.sequence"

_DELTA, _CUMULATIVE = AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE
_NOT_KEPT: Any = None  # the smallest and the largest value of an interval


def export_of(
    segment: Segment, carried: Iterable[Entry], resource: Mapping[str, Any], exemplars: OfSeries
) -> ResourceMetrics:
    """The export that is prepared in a block: the same whoever sends it, and how often.

    Args:
        segment: The block.
        carried: The series it carries.
        resource: What the process said of itself.
        exemplars: Of its interval, by series.
    """
    header = segment.header
    who = {SENDER: header.sender.hex(), SEQUENCE: header.sequence}
    began, ended = header.times
    points: dict[Identity, list[Any]] = {}
    for moved in segment.moved(carried):
        point = _point(moved, began, ended, exemplars.get(moved.entry.slot, ()))
        points.setdefault(moved.entry.identity, []).append(point)
    return _resource_metrics({**resource, **who}, points)


class Standing(NamedTuple):
    """What the totals of a box stand at.

    Attributes:
        totals: Every series.
        began: When they were 0, in Unix nanoseconds.
        resource: What the process said of itself.
    """

    totals: list[Moved]
    began: int
    resource: Mapping[str, Any]


def totals_of(box: Box) -> Standing:
    """What there is to be shown of a box, in as little time as it takes to copy it."""
    return Standing(list(box.standing(Role.TOTALS)), box.made_at, box.process.get("resource", {}))


def standing_of(
    boxes: Iterable[Standing], standing: Iterable[Series], resource: Mapping[str, Any], began: int
) -> MetricsData:
    """Everything as it stands: totals since each box began, and levels, for people."""
    now, resources = time.time_ns(), []
    for box in boxes:
        points: dict[Identity, list[Any]] = {}
        for moved in box.totals:
            points.setdefault(moved.entry.identity, []).append(_point(moved, box.began, now))
        resources.append(_resource_metrics(box.resource, points, _CUMULATIVE))
    levels = levels_of(standing, resource, began, now)
    return MetricsData([*resources, *(levels.resource_metrics if levels else ())])


def levels_of(
    standing: Iterable[Series],
    resource: Mapping[str, Any],
    began: int,
    now: int,
) -> MetricsData | None:
    """Levels and gauges as they stand; ``None`` without any."""
    points: dict[Identity, list[Any]] = {}
    for series in standing:
        point = NumberDataPoint(attributes_of(series), began, now, series.standing())
        points.setdefault(series.identity, []).append(point)
    return MetricsData([_resource_metrics(resource, points)]) if points else None


def _resource_metrics(
    resource: Mapping[str, Any], points: Mapping[Identity, list[Any]], totals: AggregationTemporality = _DELTA
) -> ResourceMetrics:
    return ResourceMetrics(Resource(resource), list(_scopes(points, totals)), schema_url="")


def _scopes(points: Mapping[Identity, list[Any]], totals: AggregationTemporality) -> Iterator[ScopeMetrics]:
    by_scope: dict[Scope, list[Metric]] = {}
    for identity, of_metric in points.items():
        metric = Metric(identity.name, identity.description, identity.unit, _data(identity.kind, of_metric, totals))
        by_scope.setdefault(identity.scope, []).append(metric)
    for scope, metrics in by_scope.items():
        said = InstrumentationScope(scope.name, scope.version, scope.schema_url, dict(scope.attributes))
        yield ScopeMetrics(said, metrics, scope.schema_url or "")


def _data(
    kind: Kind, points: list[Any], totals: AggregationTemporality
) -> Sum | Histogram | ExponentialHistogram | Gauge:
    match kind:
        case Kind.HISTOGRAM if isinstance(points[0], ExponentialHistogramDataPoint):
            return ExponentialHistogram(points, totals)
        case Kind.HISTOGRAM:
            return Histogram(points, totals)
        case Kind.GAUGE:
            return Gauge(points)
        case Kind.LEVEL:
            return Sum(points, _CUMULATIVE, is_monotonic=False)
    return Sum(points, totals, is_monotonic=True)


def _point(
    moved: Moved, began: int, ended: int, exemplars: Sequence[Exemplar] = ()
) -> NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint:
    attributes = attributes_of(moved.entry)
    if moved.entry.identity.kind is not Kind.HISTOGRAM:
        return NumberDataPoint(attributes, began, ended, moved.amounts[0])
    *buckets, total = moved.amounts
    counts = list(map(int, buckets))
    bounds, links = moved.entry.identity.bounds, [_exemplar(exemplar) for exemplar in exemplars]
    if exponential.are_bounds(bounds):
        return _exponential(attributes, began, ended, counts, total, links)
    return HistogramDataPoint(
        attributes,
        began,
        ended,
        sum(counts),
        total,
        counts,
        bounds,
        min=_NOT_KEPT,
        max=_NOT_KEPT,
        exemplars=links,
    )


def _exponential(
    attributes: Mapping[str, Any], began: int, ended: int, counts: list[int], total: float, links: list[SdkExemplar]
) -> ExponentialHistogramDataPoint:
    return ExponentialHistogramDataPoint(
        attributes,
        began,
        ended,
        sum(counts),
        total,
        exponential.SCALE,
        counts[0],
        Buckets(*exponential.positive(counts)),
        Buckets(0, []),
        flags=0,
        min=_NOT_KEPT,
        max=_NOT_KEPT,
        exemplars=links,
    )


def _exemplar(exemplar: Exemplar) -> SdkExemplar:
    trace_id, span_id = (int.from_bytes(name) for name in (exemplar.trace_id, exemplar.span_id))
    return SdkExemplar({}, exemplar.value, exemplar.at, span_id, trace_id)


def amounts_of(carried: Iterable[Moved]) -> dict[str, float]:
    """Sum of every counter and count of every histogram, by metric name, for people; nothing that is 0."""
    amounts: dict[str, float] = {}
    for entry, cells in carried:
        amount = sum(cells[:-1]) if entry.identity.kind is Kind.HISTOGRAM else cells[0]
        if amount:
            amounts[entry.identity.name] = amounts.get(entry.identity.name, 0.0) + amount
    return amounts


def listed(amounts: Mapping[str, float]) -> str:
    """Amounts by metric, for the log."""
    return ", ".join(f"{name} {amount:g}" for name, amount in sorted(amounts.items()))
