"""What a block of code recorded, as plain numbers; no network, no threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import isclose
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry.sdk.metrics.view import View

from telemetry import process, setup
from telemetry.box.header import Role
from telemetry.box.identity import Kind, attributes_of
from telemetry.box.segment import Moved
from telemetry.catalogue import BUILT_IN, Catalogue, Spec
from telemetry.catalogue.loading import Modules, extended
from telemetry.settings.settings import Settings
from telemetry.testing.failure import failure

Labels = tuple[tuple[str, str], ...]


class Captured:
    """What was recorded: totals since the start, levels and facts as they stand.

    Attributes:
        telemetry: The recorders that write into it.
    """

    def __init__(self, settings: Settings, views: Sequence[View] = (), catalogue: Catalogue = BUILT_IN) -> None:
        self.telemetry = setup.Telemetry(replace(settings, exporters=()), views, catalogue)
        _CAPTURED[self.telemetry] = self

    @classmethod
    def current(cls) -> Captured:
        """What the ``captured()`` block records that the caller is in.

        Raises:
            RuntimeError: If it is in none.
        """
        configured = process.current.configured
        found = _CAPTURED.get(configured) if configured else None
        if found is None:
            raise RuntimeError("nothing is captured here: call it inside of `with telemetry.testing.captured():`")
        return found

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

    def metrics(self) -> list[str]:
        """The names of all metrics that have a series."""
        return sorted({name for name, _ in self._points()})

    def assert_counted(self, metric: str | Spec[Any], labels: Mapping[str, str], n: float) -> None:
        """Assert that the series of a metric with at least these labels add up to ``n``.

        Raises:
            AssertionError: If they do not, showing the series there are, the nearest ones first.
        """
        __tracebackhide__ = True
        name = metric.name if isinstance(metric, Spec) else metric
        counted = self.total(name, **labels)
        if not isclose(counted, n, rel_tol=1e-9, abs_tol=1e-12):
            raise AssertionError(failure(self, name, labels, n, counted))

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


_CAPTURED: WeakKeyDictionary[setup.Telemetry, Captured] = WeakKeyDictionary()


def _key(labels: Mapping[str, object]) -> Labels:
    return tuple(sorted((name, str(value)) for name, value in labels.items()))


@contextmanager
def captured(
    settings: Settings | None = None, *, views: Sequence[View] = (), catalogue: Modules = ()
) -> Iterator[Captured]:
    """Record into memory for the length of a block; ``telemetry.get()`` and every verb count into it meanwhile.

    Args:
        settings: Instead of the defaults; whatever exporters they name, nothing leaves the process.
        views: Of the application's own instruments, as ``telemetry.configure`` takes them.
        catalogue: Modules that declare metrics of the application's own, as ``telemetry.configure`` takes them. Where
            the process is configured, what it counts by is in it anyway.

    Raises:
        CatalogueError: If a module cannot be in the catalogue.
    """
    recorded = Captured(settings or Settings(), views, _catalogue(catalogue))
    with process.replaced(recorded.telemetry):
        yield recorded


def _catalogue(modules: Modules) -> Catalogue:
    configured = process.current.configured
    return extended(configured.catalogue if configured else BUILT_IN, modules)


def assert_counted(metric: str | Spec[Any], labels: Mapping[str, str], n: float) -> None:
    """Assert that the series of a metric with at least these labels add up to ``n``, in the ``captured()`` block.

    Args:
        metric: Its declaration or its name.
        labels: Those that matter; ``{}`` for every series.
        n: A total, a level or a fact; of a histogram, how many values were recorded.

    Raises:
        AssertionError: If they do not, showing the series there are, the nearest ones first.
        RuntimeError: If nothing is captured now.
    """
    __tracebackhide__ = True
    Captured.current().assert_counted(metric, labels, n)
