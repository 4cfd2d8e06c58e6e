"""Takes exports apart: halves, deltas, points that say nothing; pure functions over the SDK's data classes, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import groupby
from typing import Any, TypeAlias

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from telemetry.pipeline.merge import merge

Piece: TypeAlias = tuple[ResourceMetrics, ScopeMetrics, Metric]


def count_points(data: MetricsData) -> int:
    """How many data points an export has."""
    return sum(len(metric.data.data_points) for _, _, metric in _pieces(data))


def split(data: MetricsData, limit: int) -> list[MetricsData]:
    """The same points in exports of at most ``limit`` of them."""
    parts: list[list[Piece]] = []
    room = 0
    for resource, scope, metric in _pieces(data):
        points = list(metric.data.data_points)
        while points:
            if room == 0:
                parts.append([])
                room = limit
            taken, points = points[:room], points[room:]
            parts[-1].append((resource, scope, _with_points(metric, taken)))
            room -= len(taken)
    return [_joined(part) for part in parts]


def join(parts: Iterable[MetricsData]) -> MetricsData | None:
    """What must not be lost of parts, as one export; ``None`` without any."""
    kept = (part for part in map(deltas, parts) if part is not None)
    return reduce(merge, kept, None)


def deltas(data: MetricsData | None) -> MetricsData | None:
    """Only what must not be lost: a gauge or a level is said anew by each export; ``None`` without any."""
    return _selected(data, lambda metric, _: _is_delta(metric))


def sizes(data: MetricsData | None) -> dict[str, int]:
    """How many series each metric has."""
    return {metric.name: len(metric.data.data_points) for _, _, metric in _pieces(data)} if data else {}


def without_zeros(data: MetricsData | None, known: Mapping[str, int]) -> MetricsData | None:
    """Without counters that did not move, where a metric has as many series as are known; ``None`` if that was all."""

    def wanted(metric: Metric, point: Any) -> bool:
        if getattr(point, "value", 1) != 0 or not _is_delta(metric):
            return True
        return len(metric.data.data_points) != known.get(metric.name)

    return _selected(data, wanted)


def totals(data: MetricsData | None) -> dict[str, float]:
    """Sum of every delta counter and count of every histogram, by metric name, for people; nothing that is 0."""
    result: dict[str, float] = {}
    for _, _, metric in _pieces(data) if data else ():
        if _is_delta(metric):
            amount = sum(getattr(p, "count", getattr(p, "value", 0)) for p in metric.data.data_points)
            result[metric.name] = result.get(metric.name, 0) + amount
    return {name: amount for name, amount in result.items() if amount}


def _pieces(data: MetricsData) -> Iterator[Piece]:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield resource, scope, metric


def _selected(data: MetricsData | None, wanted: Callable[[Metric, Any], bool]) -> MetricsData | None:
    pieces = []
    for resource, scope, metric in _pieces(data) if data else ():
        points = [point for point in metric.data.data_points if wanted(metric, point)]
        if points:
            pieces.append((resource, scope, _with_points(metric, points)))
    return _joined(pieces) if pieces else None


def _is_delta(metric: Metric) -> bool:
    return getattr(metric.data, "aggregation_temporality", None) is AggregationTemporality.DELTA and (
        not isinstance(metric.data, Sum) or metric.data.is_monotonic
    )


def _with_points(metric: Metric, points: Sequence[Any]) -> Metric:
    if len(points) == len(metric.data.data_points):
        return metric
    data: Any = metric.data  # one of four kinds, each with points of its own kind
    return replace(metric, data=replace(data, data_points=points))


def _joined(pieces: Sequence[Piece]) -> MetricsData:
    resources = []
    for _, of_resource in groupby(pieces, key=lambda piece: id(piece[0])):
        scopes = []
        members = list(of_resource)
        for _, of_scope in groupby(members, key=lambda piece: id(piece[1])):
            in_scope = list(of_scope)
            scopes.append(replace(in_scope[0][1], metrics=[metric for _, _, metric in in_scope]))
        resources.append(replace(members[0][0], scope_metrics=scopes))
    return MetricsData(resource_metrics=resources)
