"""Hands many values of a histogram to the SDK in one call, already sorted into buckets; it measures nothing.

The SDK takes one value a call, and that call costs as much as everything else a request is measured with. So
``BoundHistogram`` counts in buckets of its own and passes a ``Batch`` at each collection; this aggregation, which the
views of the catalogue name, adds it up. It overrides two methods that the SDK does not call public; the SDK's version
is pinned and ``tests/telemetry/test_instruments.py`` compares the outcome with the SDK's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from opentelemetry.sdk.metrics._internal.aggregation import _Aggregation, _ExplicitBucketHistogramAggregation
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation


class Batch(float):
    """Several values of one series as one measurement; as a number it is their sum.

    Attributes:
        counts: How many values fell into each bucket, the last one without an upper bound.
        smallest: The smallest value.
        largest: The largest value.
    """

    __slots__ = ("counts", "largest", "smallest")
    counts: list[int]
    smallest: float
    largest: float

    def __new__(cls, total: float, counts: list[int], smallest: float, largest: float) -> Self:
        """A batch whose values add up to ``total``."""
        batch = super().__new__(cls, total)
        batch.counts, batch.smallest, batch.largest = counts, smallest, largest
        return batch


class BatchedHistogramAggregation(ExplicitBucketHistogramAggregation):
    """The SDK's explicit buckets, which take single values and batches."""

    def _create_aggregation(
        self,
        instrument: Any,
        attributes: Any,
        reservoir_factory: Callable[[type[_Aggregation[Any]]], Any],
        start_time_unix_nano: int,
    ) -> _Aggregation[Any]:
        return _BatchedHistogram(
            attributes,
            AggregationTemporality.DELTA,
            start_time_unix_nano,
            reservoir_factory(_ExplicitBucketHistogramAggregation),
            self._boundaries,
            self._record_min_max,
        )


class _BatchedHistogram(_ExplicitBucketHistogramAggregation):
    def aggregate(self, measurement: Measurement, should_sample_exemplar: bool = True) -> None:
        batch = measurement.value
        if not isinstance(batch, Batch):
            super().aggregate(measurement, should_sample_exemplar)
            return
        with self._lock:
            known: list[int] = self._value or self._get_empty_bucket_counts()
            self._value: Any = [old + new for old, new in zip(known, batch.counts, strict=True)]
            self._sum: Any = self._sum + float(batch)
            self._min = min(self._min, batch.smallest)
            self._max = max(self._max, batch.largest)
