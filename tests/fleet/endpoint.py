"""Reads the collector's two endpoints as a Prometheus would, and writes their shape down for the golden file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.catalogue import FLEET

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Endpoint:
    """Totals at one address, levels and facts at another."""

    totals_url: str
    now_url: str

    def series(self, metric: str) -> dict[Labels, float]:
        """Every series of a metric by its labels; of a histogram, the counts."""
        found: dict[Labels, float] = {}
        for family in self.families().values():
            for sample in family.samples:
                if sample.name == metric or (family.type == "histogram" and sample.name == f"{metric}_count"):
                    found[tuple(sorted(sample.labels.items()))] = sample.value
        return found

    def total(self, metric: str, **labels: str) -> float:
        """Sum over the series that have at least these labels."""
        wanted = set(labels.items())
        return sum(value for key, value in self.series(metric).items() if wanted <= set(key))

    def families(self) -> dict[str, Metric]:
        """Every family of both endpoints by its sample name."""
        return {**families_at(self.totals_url), **families_at(self.now_url)}

    def shape(self) -> str:
        """Name, type, label names and buckets of every documented family: what the contract fixes."""
        documented = {spec.name for spec in FLEET.documented}
        shapes = (_shape(name, family) for name, family in self.families().items() if name in documented)
        return "\n".join(sorted(shapes)) + "\n"


def families_at(url: str) -> dict[str, Metric]:
    """The families of one endpoint, counters by their full name."""
    text = httpx.get(url, timeout=10).text
    families = {}
    for family in text_string_to_metric_families(text):
        families[f"{family.name}_total" if family.type == "counter" else family.name] = family
    return families


def _shape(name: str, family: Metric) -> str:
    keys = sorted({",".join(sorted(_without_le(sample.labels))) for sample in family.samples})
    buckets = sorted({float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels})
    listed = " buckets=" + ",".join(f"{bound:g}" for bound in buckets) if buckets else ""
    return f"{name} {family.type} labels={'|'.join(keys)}{listed}"


def _without_le(labels: Mapping[str, str]) -> list[str]:
    return [name for name in labels if name != "le"]
