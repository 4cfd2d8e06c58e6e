"""What the catalogue says to the meter provider: a view and a label clamp for each metric; it measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

from telemetry.catalogue import ALL, BY_NAME, HistogramSpec, Spec
from telemetry.metrics.clamp import LabelClamp


def catalogue_views(buckets: Mapping[str, tuple[float, ...]] | None = None) -> list[View]:
    """The views that give the catalogue's metrics their labels and buckets.

    Args:
        buckets: Upper bounds by the name of a histogram, instead of the catalogue's.
    """
    return [_view(spec, buckets or {}) for spec in ALL]


def _view(spec: Spec[Any], buckets: Mapping[str, tuple[float, ...]]) -> View:
    aggregation = None
    if isinstance(spec, HistogramSpec):
        aggregation = ExplicitBucketHistogramAggregation(buckets.get(spec.name, spec.buckets))
    return View(instrument_name=spec.name, attribute_keys=set(spec.label_keys), aggregation=aggregation)


def clamp_of(name: str) -> LabelClamp | None:
    """What the catalogue allows as labels of a metric; ``None`` for a metric that is not its."""
    spec = BY_NAME.get(name)
    return None if spec is None else LabelClamp(spec)
