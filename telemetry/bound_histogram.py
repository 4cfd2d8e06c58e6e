"""One bound histogram: buckets of ours for each series, handed to the SDK at collection; others are in ``bound.py``."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from math import inf
from typing import Any

from opentelemetry.metrics import Histogram as SdkHistogram
from opentelemetry.metrics import Meter, NoOpMeter

from telemetry import guard
from telemetry.batches import Batch
from telemetry.bound import Bound, L, Owner
from telemetry.catalogue import HistogramSpec

_NOTED_AT_MOST = 1000

_NO_METER = NoOpMeter("telemetry")


class BoundHistogram(Bound[L]):
    """A distribution: buckets of ours, handed to the SDK at each collection."""

    def __init__(self, spec: HistogramSpec[L], owner: Owner) -> None:
        super().__init__(spec, owner)
        self._histogram_spec = spec
        self._known: dict[tuple[object, ...], HistogramSeries] = {}
        self._sdk: SdkHistogram = _NO_METER.create_histogram(spec.name)

    def reset(self) -> None:
        """Drop everything recorded; the SDK instrument of the parent is not used again."""
        super().reset()
        self._known = {}
        self._sdk = _NO_METER.create_histogram(self.spec.name)

    def record(self, value: float, labels: L) -> None:
        """Record ``value`` (0 or more); anything else is not recorded but reported."""
        try:
            self.bind(labels).record(value)
        except Exception as error:
            guard.swallow(error, f"recording {self.spec.name}")

    def bind(self, labels: L) -> HistogramSeries:
        """The series with these labels, to record into without looking it up again; valid until ``reset``."""
        try:
            return self._known[self._key(labels)]
        except (KeyError, TypeError):
            return self._new_series(labels)

    def is_exact(self, labels: L) -> bool:
        """Whether the series has these very labels, none of them replaced."""
        return self._key(labels) in self._known

    def _new_series(self, labels: L) -> HistogramSeries:
        self._owner.ensure_started()
        key = self._clamp.clamp(labels)
        with self._lock:
            series = self._known.get(key)
            if series is None:
                reject = partial(self._owner.value_rejected, self.spec.name)
                series = HistogramSeries(self._histogram_spec.buckets, self._attributes(key), self._lock, reject)
                self._known[key] = series
            return series

    def hand_over(self) -> None:
        """Pass what was recorded since the last call to the SDK; called at collection."""
        with self._lock:
            known = list(self._known.values())
        for series in known:
            batch = series.take()
            if batch is not None:
                self._sdk.record(batch, series.attributes)

    def attach(self, meter: Meter) -> None:
        """Create the SDK histogram."""
        self._sdk = meter.create_histogram(
            self.spec.name,
            self.spec.unit,
            self.spec.help,
            explicit_bucket_boundaries_advisory=self._histogram_spec.buckets,
        )


class HistogramSeries:
    """One series of a histogram: the values since the last collection, in buckets.

    A recorded value waits in a queue, since sorting it into its bucket costs the host more than a note of it; both ends
    of a ``deque`` are safe to use from several threads.

    Attributes:
        attributes: Its labels.
    """

    __slots__ = ("_bounds", "_counts", "_largest", "_lock", "_noted", "_reject", "_smallest", "_total", "attributes")

    def __init__(
        self,
        bounds: tuple[float, ...],
        attributes: dict[str, str],
        lock: AbstractContextManager[Any],
        reject: Callable[[], None],
    ) -> None:
        self.attributes = attributes
        self._bounds = bounds
        self._lock = lock
        self._reject = reject
        self._noted: deque[float] = deque()
        self._clear()

    def _clear(self) -> None:
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0
        self._smallest = inf
        self._largest = -inf

    def record(self, value: float) -> None:
        """Record ``value`` (0 or more); anything else is not recorded but reported."""
        self._noted.append(value)
        if len(self._noted) > _NOTED_AT_MOST:
            self._sort()

    def _sort(self) -> None:
        """Put what is noted into buckets."""
        noted = self._noted
        with self._lock:
            for _ in range(len(noted)):
                try:
                    self._put(noted.popleft())
                except IndexError:  # a signal handler that recorded, too, has sorted the rest
                    return
                except Exception:  # no number at all
                    self._reject()

    def _put(self, value: float) -> None:
        total = self._total + value if 0 <= value < inf else inf
        if not total < inf:
            self._reject()
            return
        value = float(value)
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total = total
        if value < self._smallest:  # noqa: PLR1730 - a call of min() costs as much as the rest
            self._smallest = value
        if value > self._largest:  # noqa: PLR1730
            self._largest = value

    def take(self) -> Batch | None:
        """What was recorded since the last call; ``None`` for nothing."""
        with self._lock:
            self._sort()
            if self._largest < 0:
                return None
            batch = Batch(self._total, self._counts, self._smallest, self._largest)
            self._clear()
            return batch
