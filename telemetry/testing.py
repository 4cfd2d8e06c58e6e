"""Test tools for users and for ourselves: what a block of code recorded, as plain numbers; no network, no threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from opentelemetry.sdk.metrics.view import View

from telemetry import process, setup
from telemetry.box.header import Role
from telemetry.box.identity import Kind, attributes_of
from telemetry.box.segment import Moved
from telemetry.settings.settings import Settings

Labels = tuple[tuple[str, str], ...]


class Captured:
    """What was recorded: totals since the start, levels and facts as they stand.

    Attributes:
        telemetry: The recorders that write into it.
    """

    def __init__(self, settings: Settings, views: Sequence[View] = ()) -> None:
        self.telemetry = setup.Telemetry(replace(settings, exporters=()), views)

    def value(self, metric: str, /, **labels: str) -> float | None:
        """The series with exactly these labels: a number, or the count of a histogram; ``None`` if absent."""
        return self._points().get((metric, _key(labels)))

    def total(self, metric: str, /, **labels: str) -> float:
        """Sum over the series of a metric that have at least these labels."""
        wanted = set(labels.items())
        return sum(v for (name, key), v in self._points().items() if name == metric and wanted <= set(key))

    def histogram_sum(self, metric: str, /, **labels: str) -> float | None:
        """Sum of the values recorded in one series of a histogram."""
        found = self._found(metric, labels)
        return None if found is None else found.amounts[-1]

    def buckets(self, metric: str, /, **labels: str) -> list[int]:
        """How many values fell into each bucket of one series of a histogram, the last one without an upper bound."""
        found = self._found(metric, labels)
        return [] if found is None else [int(count) for count in found.amounts[:-1]]

    def series(self, metric: str, *, zeros: bool = False) -> dict[Labels, float]:
        """Every series of a metric that is not 0, or with ``zeros`` every one that exists, by its labels."""
        points = self._points().items()
        return {key: value for (name, key), value in points if name == metric and (value or zeros)}

    def _found(self, metric: str, labels: Mapping[str, str]) -> Moved | None:
        for moved in self.telemetry.meter_provider.box.standing(Role.TOTALS):
            if (moved.entry.identity.name, _key(attributes_of(moved.entry))) == (metric, _key(labels)):
                return moved
        return None

    def _points(self) -> dict[tuple[str, Labels], float]:
        self.telemetry.settle()
        self.telemetry.observe()
        points: dict[tuple[str, Labels], float] = {}
        for entry, cells in self.telemetry.meter_provider.box.standing(Role.TOTALS):
            key = (entry.identity.name, _key(attributes_of(entry)))
            is_histogram = entry.identity.kind is Kind.HISTOGRAM
            points[key] = points.get(key, 0.0) + (sum(cells[:-1]) if is_histogram else cells[0])
        for series in self.telemetry.meter_provider.standing():
            points[series.identity.name, _key(attributes_of(series))] = series.standing()
        return points


def _key(labels: Mapping[str, object]) -> Labels:
    return tuple(sorted((name, str(value)) for name, value in labels.items()))


@contextmanager
def capture(settings: Settings | None = None, *, views: Sequence[View] = ()) -> Iterator[Captured]:
    """Record into memory for the length of a block; ``telemetry.get()`` returns the capturing recorders in it.

    Args:
        settings: Instead of the defaults; whatever exporters they name, nothing leaves the process.
        views: Of the application's own instruments, as ``telemetry.configure`` takes them.
    """
    captured = Captured(settings or Settings(), views)
    with process.replaced(captured.telemetry):
        yield captured
