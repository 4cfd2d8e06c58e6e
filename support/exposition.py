"""Reads Prometheus text: series by name and labels; it knows no process and no metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from support import web

Labels: TypeAlias = tuple[tuple[str, str], ...]
Samples: TypeAlias = dict[tuple[str, Labels], float]


def labels(**values: str) -> Labels:
    """Labels as a key."""
    return tuple(sorted(values.items()))


def parse(text: str) -> Samples:
    """Every sample of an exposition by name and labels, histograms as `_bucket`, `_sum` and `_count`.

    Raises:
        ValueError: If a series is there twice.
    """
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in samples:
                raise ValueError(f"{key} is there twice")
            samples[key] = sample.value
    return samples


def scrape(url: str) -> Samples:
    """The samples of an endpoint."""
    answer = web.get(url)
    answer.raise_for_status()
    return parse(answer.text)


def series(samples: Samples, metric: str) -> dict[Labels, float]:
    """The series of a metric; of a histogram, its counts."""
    return {key: value for (name, key), value in samples.items() if name in {metric, f"{metric}_count"}}


def total(samples: Samples, metric: str, wanted: Mapping[str, str] | None = None) -> float:
    """Sum over the series of a metric that have at least the wanted labels."""
    needed = set((wanted or {}).items())
    return sum(value for key, value in series(samples, metric).items() if needed <= set(key))
