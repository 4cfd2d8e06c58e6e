"""What a Prometheus behind our collector holds, as the linter knows it: the catalogue's series, and those of both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from telemetry.catalogue import Catalogue, HistogramSpec, Spec

Kind = Literal["counter", "bucket", "gauge"]
TARGET = frozenset({"job", "instance"})
NAMESPACE = frozenset({"service_namespace"})  # on what a sender of a namespace reports, and nowhere else


@dataclass(frozen=True)
class Series:
    """One family of series.

    Attributes:
        kind: `bucket` is a counter with `le`.
        labels: Its own labels; those of the target come on top.
        values: Allowed values of closed labels.
    """

    kind: Kind
    labels: frozenset[str]
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def all_labels(self) -> frozenset[str]:
        """Its own and the target's."""
        return self.labels | TARGET


def of_catalogue(catalogue: Catalogue, environments: tuple[str, ...] = ()) -> dict[str, Series]:
    """Series by name, those of a histogram's parts included.

    Args:
        catalogue: What is declared.
        environments: The values that `environment` can have; any where none is given.
    """
    return dict(pair for spec in catalogue.specs for pair in _of(spec, environments))


def _of(spec: Spec[Any], environments: tuple[str, ...]) -> Iterator[tuple[str, Series]]:
    labels = frozenset(spec.documented_labels) | NAMESPACE
    closed = {label.name: (*label.values, label.overflow) for label in spec.label_set() if label.values}
    closed |= {"environment": environments} if environments else {}
    if not isinstance(spec, HistogramSpec):
        yield spec.name, Series("counter" if spec.kind == "counter" else "gauge", labels, closed)
        return
    bounds = tuple(_shown(bound) for bound in (*spec.buckets, math.inf))
    yield f"{spec.name}_bucket", Series("bucket", labels | {"le"}, {**closed, "le": bounds})
    yield f"{spec.name}_sum", Series("counter", labels, closed)
    yield f"{spec.name}_count", Series("counter", labels, closed)


def _shown(bound: float) -> str:
    return "+Inf" if math.isinf(bound) else f"{bound:g}"


_POINTS = frozenset({"receiver", "transport"})
# Of a collector that runs `otel-collector.yaml`; tests/grafana/test_several_collectors.py sees that they are there.
OF_OFFICIAL: dict[str, Series] = {
    "otelcol_deltatocumulative_datapoints": Series("counter", frozenset({"error"})),
    "otelcol_deltatocumulative_streams_tracked": Series("gauge", frozenset()),
    "otelcol_deltatocumulative_streams_limit": Series("gauge", frozenset()),
}
# The collector's own metrics, and Prometheus'; test_live_dashboards.py sees that they are there.
OF_OTHERS: dict[str, Series] = {
    "up": Series("gauge", frozenset()),
    "scrape_duration_seconds": Series("gauge", frozenset()),
    "scrape_samples_scraped": Series("gauge", frozenset()),
    "ALERTS": Series("gauge", frozenset({"alertname", "alertstate", "severity", "environment"}) | NAMESPACE),
    "otelcol_receiver_accepted_metric_points": Series("counter", _POINTS),
    "otelcol_receiver_refused_metric_points": Series("counter", _POINTS),
    "otelcol_receiver_failed_metric_points": Series("counter", _POINTS),
    **OF_OFFICIAL,
    "fleet_totals_exports_total": Series("counter", frozenset()),
    "fleet_totals_duplicate_exports_total": Series("counter", frozenset()),
    "fleet_totals_missing_exports_total": Series("counter", frozenset()),
    "fleet_totals_conflicts_total": Series("counter", frozenset()),
    "fleet_totals_folded_points_total": Series("counter", frozenset({"metric"})),
    "fleet_totals_dropped_points_total": Series("counter", frozenset({"reason"})),
    "fleet_totals_failed_commits_total": Series("counter", frozenset()),
    "fleet_totals_commit_seconds_bucket": Series("bucket", frozenset({"le"})),
    "fleet_totals_pushed_out_senders_total": Series("counter", frozenset()),
    "fleet_totals_sender_memory_seconds": Series("gauge", frozenset()),
    "fleet_totals_series": Series("gauge", frozenset({"metric"})),
    "fleet_totals_series_budget": Series("gauge", frozenset({"metric"})),
    "fleet_totals_max_series": Series("gauge", frozenset()),
    "fleet_totals_unknown_names": Series("gauge", frozenset()),
    "fleet_totals_unknown_names_budget": Series("gauge", frozenset()),
    "fleet_totals_senders": Series("gauge", frozenset()),
    "fleet_totals_store_birth_seconds": Series("gauge", frozenset()),
    "fleet_totals_stores_set_aside": Series("gauge", frozenset()),
    "otelcol_process_memory_rss": Series("gauge", frozenset()),
    "otelcol_process_uptime": Series("counter", frozenset()),
}
