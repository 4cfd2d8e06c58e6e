"""The series of the fleet, from the collector's pages or from Prometheus alone; histograms by their counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from telemetry.catalogue import Spec
from telemetry.cli.known import known
from telemetry.cli.page import Page, Sample
from telemetry.cli.prometheus_api import Prometheus, PrometheusError


def totals() -> tuple[Spec[Any], ...]:
    """Counters and histograms, with those of a user's modules."""
    return tuple(spec for spec in known().specs if spec.kind in {"counter", "histogram"})


def levels() -> tuple[Spec[Any], ...]:
    """Levels and facts, with those of a user's modules."""
    return tuple(spec for spec in known().specs if spec.kind in {"level", "fact"})


def sample_name(spec: Spec[Any]) -> str:
    """The name of a series that each metric has one of for a label set."""
    return f"{spec.name}_count" if spec.kind == "histogram" else spec.name


@dataclass(frozen=True)
class FleetSeries:
    """The series of the catalogue's metrics.

    Attributes:
        totals: Counters and histograms' counts.
        levels: Levels and facts.
        source: Where they come from, for people.
        is_known: Whether they could be read.
        is_of_pages: Whether they come from the collector's pages, whose labels nobody has added to.
    """

    totals: Page
    levels: Page
    source: str
    is_known: bool = True
    is_of_pages: bool = False

    def environments(self) -> set[str]:
        """Every value of the label ``environment``."""
        return {sample.labels.get("environment", "") for sample in (*self.totals.samples, *self.levels.samples)}

    def of(self, specs: Iterable[Spec[Any]]) -> Iterator[tuple[Spec[Any], Sample]]:
        """Every series of these metrics."""
        for spec in specs:
            page = self.totals if spec.kind in {"counter", "histogram"} else self.levels
            yield from ((spec, sample) for sample in page.by_name.get(sample_name(spec), ()))


def of_pages(first: Page, second: Page) -> FleetSeries:
    """What the collector's pages of totals and of levels show; unknown where one of them cannot be read."""
    is_known = not (first.problem or second.problem)
    ours = (_only(first, totals()), _only(second, levels()))
    return FleetSeries(*ours, source=first.url, is_known=is_known, is_of_pages=True)


def of_prometheus(server: Prometheus) -> FleetSeries:
    """What a Prometheus has; unknown where it does not answer."""
    try:
        first, second = (Page(server.url, tuple(server.query(any_of(specs)))) for specs in (totals(), levels()))
    except PrometheusError:
        return FleetSeries(Page(server.url), Page(server.url), server.url, is_known=False)
    return FleetSeries(first, second, server.url)


def _only(page: Page, specs: Iterable[Spec[Any]]) -> Page:
    names = {sample_name(spec) for spec in specs}
    return Page(page.url, tuple(sample for sample in page.samples if sample.name in names), page.problem)


def any_of(specs: Iterable[Spec[Any]]) -> str:
    """A selector of their series."""
    return f'{{__name__=~"{"|".join(map(sample_name, specs))}"}}'
