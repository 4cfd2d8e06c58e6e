"""Test tools for users and for ourselves: what a block of code recorded, as plain numbers; no network, no threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.sdk.metrics.export import (
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    MetricsData,
    NumberDataPoint,
)

from telemetry import setup
from telemetry.pipeline.reader import DELTA_FOR_TOTALS
from telemetry.pipeline.settings import Settings

Labels = tuple[tuple[str, str], ...]


class Captured:
    """What was recorded: totals since the start, levels and facts as they stand.

    Attributes:
        telemetry: The recorders that write into it.
    """

    def __init__(self, settings: Settings) -> None:
        self._reader = InMemoryMetricReader(preferred_temporality=DELTA_FOR_TOTALS)
        self._points: dict[tuple[str, Labels], float] = {}
        self._sums: dict[tuple[str, Labels], float] = {}
        self.telemetry = setup.Telemetry(settings, [self._reader])
        self.telemetry.start()

    def value(self, metric: str, /, **labels: str) -> float | None:
        """The series with exactly these labels: a number, or the count of a histogram; ``None`` if absent."""
        self._collect()
        return self._points.get((metric, _key(labels)))

    def total(self, metric: str, /, **labels: str) -> float:
        """Sum over the series of a metric that have at least these labels."""
        self._collect()
        wanted = set(labels.items())
        return sum(v for (name, key), v in self._points.items() if name == metric and wanted <= set(key))

    def histogram_sum(self, metric: str, /, **labels: str) -> float | None:
        """Sum of the values recorded in one series of a histogram."""
        self._collect()
        return self._sums.get((metric, _key(labels)))

    def series(self, metric: str) -> dict[Labels, float]:
        """Every series of a metric that is not 0, by its labels."""
        self._collect()
        return {key: value for (name, key), value in self._points.items() if name == metric and value}

    def _collect(self) -> None:
        self.telemetry.llm.settle()
        data: MetricsData | None = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    is_total = isinstance(metric.data, Histogram) or getattr(metric.data, "is_monotonic", False)
                    for point in metric.data.data_points:
                        if isinstance(point, NumberDataPoint | HistogramDataPoint):
                            self._take(metric.name, point, is_total)

    def _take(self, name: str, point: NumberDataPoint | HistogramDataPoint, is_total: bool) -> None:
        key = (name, _key(point.attributes or {}))
        known = self._points.get(key, 0.0) if is_total else 0.0
        if isinstance(point, HistogramDataPoint):
            self._points[key] = known + point.count
            self._sums[key] = self._sums.get(key, 0.0) + point.sum
        else:
            self._points[key] = known + point.value


def _key(labels: Mapping[str, object]) -> Labels:
    return tuple(sorted((name, str(value)) for name, value in labels.items()))


@contextmanager
def capture(settings: Settings | None = None) -> Iterator[Captured]:
    """Record into memory for the length of a block; ``telemetry.get()`` returns the capturing recorders in it."""
    captured = Captured(settings or Settings())
    with setup.replaced(captured.telemetry):
        yield captured
