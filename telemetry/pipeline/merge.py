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
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

P = TypeVar("P", NumberDataPoint, HistogramDataPoint)
SeriesKey: TypeAlias = frozenset[tuple[str, object]]


def merge(older: MetricsData | None, newer: MetricsData) -> MetricsData:
    """One export that says what both said.

    Delta sums and histograms of the same series add up; a gauge, and a level with cumulative temporality, keeps
    what ``newer`` says. Where a histogram's bounds changed in between, both points are kept.
    """
    if older is None:
        return newer
    resources: dict[SeriesKey, ResourceMetrics] = {}
    for resource in chain(older.resource_metrics, newer.resource_metrics):
        key = frozenset(resource.resource.attributes.items())
        resources[key] = _merge_resource(resources[key], resource) if key in resources else resource
    return MetricsData(resource_metrics=list(resources.values()))


def _merge_resource(older: ResourceMetrics, newer: ResourceMetrics) -> ResourceMetrics:
    scopes: dict[InstrumentationScope, ScopeMetrics] = {}
    for scope in chain(older.scope_metrics, newer.scope_metrics):
        known = scopes.get(scope.scope)
        scopes[scope.scope] = scope if known is None else _merge_scope(known, scope)
    return replace(newer, scope_metrics=list(scopes.values()))


def _merge_scope(older: ScopeMetrics, newer: ScopeMetrics) -> ScopeMetrics:
    metrics: dict[tuple[str, type], Metric] = {}
    for metric in chain(older.metrics, newer.metrics):
        key = _metric_key(metric)
        metrics[key] = _merge_metric(metrics[key], metric) if key in metrics else metric
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
