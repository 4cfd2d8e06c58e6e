"""What the catalogue says to the meter provider: a view and a label clamp for each metric; it measures nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)

from telemetry.catalogue import HistogramSpec, Spec
from telemetry.metrics.clamp import LabelClamp
from telemetry.metrics.views import EXPLICIT, EXPONENTIAL, HistogramAggregation


class Declared:
    """The declarations that a process counts by. More can be added; none is taken back.

    Args:
        specs: What is declared at first.
        buckets: Upper bounds by the name of a histogram, instead of the declared ones.
        views: Of the application's own instruments, which are not declared.
        aggregation: What a histogram is, where its buckets are not given.

    Attributes:
        views: What gives every metric its labels and buckets; it grows with the declarations.
    """

    def __init__(
        self,
        specs: Iterable[Spec[Any]] = (),
        buckets: Mapping[str, tuple[float, ...]] | None = None,
        views: Sequence[View] = (),
        aggregation: HistogramAggregation = EXPLICIT,
    ) -> None:
        self.views: list[View] = list(views)
        self._buckets = buckets or {}
        self._aggregation = aggregation
        self._specs: dict[str, Spec[Any]] = {}
        for spec in specs:
            self.add(spec)

    def get(self, name: str) -> Spec[Any] | None:
        """The declaration of a metric; ``None`` for a metric that has none."""
        return self._specs.get(name)

    def add(self, spec: Spec[Any]) -> None:
        """Count this metric, too, as it is declared, from the next instrument of its name on."""
        if spec.name not in self._specs:
            self._specs[spec.name] = spec
            self.views.append(_view(spec, self._buckets, self._aggregation))

    def clashing(self, spec: Spec[Any]) -> Spec[Any] | None:
        """A declaration that takes a name of this one and is not the same."""
        taken = (other for other in list(self._specs.values()) if other.page_names() & spec.page_names())
        return next((other for other in taken if not other.is_same_as(spec)), None)

    def takes(self, name: str) -> bool:
        """Whether a declaration takes this name on a Prometheus page."""
        return any(name in spec.page_names() for spec in self.specs())

    def specs(self) -> list[Spec[Any]]:
        """Every declaration."""
        return list(self._specs.values())

    def clamp_of(self, name: str) -> LabelClamp | None:
        """What is allowed as labels of a metric; ``None`` for a metric that is not declared."""
        spec = self._specs.get(name)
        return None if spec is None else LabelClamp(spec)


def _view(spec: Spec[Any], buckets: Mapping[str, tuple[float, ...]], default: HistogramAggregation) -> View:
    aggregation: Aggregation | None = None
    if isinstance(spec, HistogramSpec):
        if default == EXPONENTIAL and spec.name not in buckets:
            aggregation = ExponentialBucketHistogramAggregation()
        else:
            aggregation = ExplicitBucketHistogramAggregation(buckets.get(spec.name, spec.buckets))
    return View(instrument_name=spec.name, attribute_keys=set(spec.label_keys), aggregation=aggregation)
