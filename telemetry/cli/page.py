"""A page of metrics in Prometheus' text format, read once; what its numbers mean is others' business."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from telemetry import extras
from telemetry.cli import web


class Sample(NamedTuple):
    """One number of a page.

    Attributes:
        name: With ``_bucket``, ``_sum`` and ``_count`` of a histogram.
        labels: Its labels.
        value: The number.
    """

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Page:
    """What a page says.

    Attributes:
        url: Where it is.
        samples: Its numbers.
        problem: Why there are none; empty where it was read.
        answer: What the server answered.
    """

    url: str
    samples: tuple[Sample, ...] = ()
    problem: str = ""
    answer: web.Answer = field(default_factory=lambda: web.Answer(""))

    @cached_property
    def by_name(self) -> Mapping[str, list[Sample]]:
        """Its numbers by their names."""
        found: defaultdict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            found[sample.name].append(sample)
        return found

    def named(self, *names: str) -> list[Sample]:
        """The numbers with any of these names; a counter of the collector may or may not end in ``_total``."""
        return [sample for name in names for sample in (*self.by_name.get(name, ()), *self._other_name(name))]

    def _other_name(self, name: str) -> Iterable[Sample]:
        return self.by_name.get(f"{name}_total", ()) if name.startswith("otelcol_") else ()

    def total(self, *names: str) -> float:
        """Their sum."""
        return sum(sample.value for sample in self.named(*names))

    def by(self, label: str, *names: str) -> dict[str, float]:
        """Their sums by a label, without those that are 0."""
        sums: defaultdict[str, float] = defaultdict(float)
        for sample in self.named(*names):
            sums[sample.labels.get(label, "")] += sample.value
        return {value: amount for value, amount in sums.items() if amount}


def read(url: str, timeout: float = web.PATIENCE, access: web.Access = web.NO_ACCESS) -> Page:
    """Read a page; what cannot be read is a page that says why."""
    answer = web.get(url, timeout, accept="text/plain;version=0.0.4", access=access)
    if not answer.is_ok:
        return Page(url, problem=answer.problem, answer=answer)
    try:
        return Page(url, tuple(parse(answer.body.decode())), answer=answer)
    except (ValueError, UnicodeDecodeError):
        return Page(url, problem="what it answers is no page of metrics", answer=answer)


def parse(text: str) -> list[Sample]:
    """The numbers of a text.

    Raises:
        ValueError: If it is not in Prometheus' format.
    """
    with extras.needed("prometheus", "reading a page of metrics"):
        from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(text)
    return [Sample(each.name, each.labels, each.value) for family in families for each in family.samples]
