"""Adds up exports that were not acknowledged; pure functions over the SDK's data classes, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from typing import TypeAlias, TypeVar

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

P = TypeVar("P", NumberDataPoint, HistogramDataPoint)
SeriesKey: TypeAlias = frozenset[tuple[str, object]]


def merge(older: MetricsData | None, newer: MetricsData) -> MetricsData:
    """One export that says what both said.

    Delta sums and histograms of the same series add up; a gauge, and a level with cumulative temporality, keeps
    what ``newer`` says. Where a histogram's bounds changed in between, both points are kept.
    """
    if older is None:
        return newer
    resources = {_resource_key(r): r for r in older.resource_metrics}
    for resource in newer.resource_metrics:
        known = resources.get(_resource_key(resource))
        resources[_resource_key(resource)] = resource if known is None else _merge_resource(known, resource)
    return MetricsData(resource_metrics=list(resources.values()))


def _resource_key(resource: ResourceMetrics) -> SeriesKey:
    return frozenset(resource.resource.attributes.items())


def _merge_resource(older: ResourceMetrics, newer: ResourceMetrics) -> ResourceMetrics:
    scopes = {(s.scope.name, s.scope.version): s for s in older.scope_metrics}
    for scope in newer.scope_metrics:
        key = (scope.scope.name, scope.scope.version)
        scopes[key] = scope if key not in scopes else _merge_scope(scopes[key], scope)
    return replace(newer, scope_metrics=list(scopes.values()))


def _merge_scope(older: ScopeMetrics, newer: ScopeMetrics) -> ScopeMetrics:
    metrics = {_metric_key(m): m for m in older.metrics}
    for metric in newer.metrics:
        key = _metric_key(metric)
        metrics[key] = metric if key not in metrics else _merge_metric(metrics[key], metric)
    return replace(newer, metrics=list(metrics.values()))


def _metric_key(metric: Metric) -> tuple[str, type]:
    return metric.name, type(metric.data)


def _merge_metric(older: Metric, newer: Metric) -> Metric:
    match older.data, newer.data:
        case Sum() as a, Sum() as b if b.aggregation_temporality is AggregationTemporality.DELTA:
            return replace(
                newer, data=replace(b, data_points=_merge_points(a.data_points, b.data_points, _add_numbers))
            )
        case Histogram() as a, Histogram() as b if b.aggregation_temporality is AggregationTemporality.DELTA:
            points = _merge_points(a.data_points, b.data_points, _add_histograms)
            return replace(newer, data=replace(b, data_points=points))
    return newer


def _merge_points(older: Iterable[P], newer: Iterable[P], add: Callable[[P, P], P]) -> list[P]:
    merged: dict[tuple[SeriesKey, tuple[float, ...]], P] = {}
    for point in chain(older, newer):
        key = (frozenset((point.attributes or {}).items()), tuple(getattr(point, "explicit_bounds", ())))
        merged[key] = point if key not in merged else add(merged[key], point)
    return list(merged.values())


def _add_numbers(older: NumberDataPoint, newer: NumberDataPoint) -> NumberDataPoint:
    start = min(older.start_time_unix_nano, newer.start_time_unix_nano)
    return replace(newer, start_time_unix_nano=start, value=older.value + newer.value)


def _add_histograms(older: HistogramDataPoint, newer: HistogramDataPoint) -> HistogramDataPoint:
    return replace(
        newer,
        start_time_unix_nano=min(older.start_time_unix_nano, newer.start_time_unix_nano),
        count=older.count + newer.count,
        sum=older.sum + newer.sum,
        bucket_counts=[a + b for a, b in zip(older.bucket_counts, newer.bucket_counts, strict=True)],
        min=min(older.min, newer.min),
        max=max(older.max, newer.max),
    )
