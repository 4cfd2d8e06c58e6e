"""A transport whose answers a test writes, and the counts it took; no socket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData

from telemetry import Settings
from telemetry.pipeline.parts import count_points
from telemetry.pipeline.reader import DELTA_FOR_TOTALS
from telemetry.pipeline.transport import Answer, Outcome
from telemetry.setup import Telemetry

TAKEN = Answer(Outcome.TAKEN)
BUSY = Answer(Outcome.BUSY, "it answers 503")
UNREACHABLE = Answer(Outcome.UNREACHABLE, "no connection (refused)")
UNANSWERED = Answer(Outcome.UNANSWERED, "no answer within 10 s")
REFUSED = Answer(Outcome.REFUSED, "it answers 400 Bad Request")


class Ledger:
    """Adds up exports as a collector does; a reading is known by its metric and the label that tells series apart."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.buckets: Counter[tuple[str, int]] = Counter()
        self.readings: dict[tuple[str, str], float] = {}
        self.names: set[str] = set()

    def take(self, data: MetricsData) -> None:
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.names.add(metric.name)
                    for point in metric.data.data_points:
                        self._add(metric.name, point)

    def _add(self, name: str, point: Any) -> None:
        if hasattr(point, "bucket_counts"):
            self.counts[name] += point.count
            for index, count in enumerate(point.bucket_counts):
                self.buckets[name, index] += count
        elif name.endswith("_total"):
            self.counts[name] += point.value
        else:
            self.readings[name, point.attributes.get("plan") or point.attributes["endpoint"]] = point.value


class Script:
    """A transport that answers as `answer` says and keeps what it took.

    Attributes:
        answer: One answer for all, or asked for each export.
        sizes: Points of each export it was sent.
    """

    def __init__(self) -> None:
        self.answer: Answer | Callable[[MetricsData], Answer] = TAKEN
        self.sizes: list[int] = []
        self.taken = Ledger()
        self.is_closed = False

    def send(self, data: MetricsData, timeout: float) -> Answer:
        self.sizes.append(count_points(data))
        answer = self.answer if isinstance(self.answer, Answer) else self.answer(data)
        if answer.outcome is Outcome.TAKEN:
            self.taken.take(data)
        return answer

    def close(self) -> None:
        self.is_closed = True


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Recording:
    """Recorders, and the deltas since the last time they were asked for."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader(preferred_temporality=DELTA_FOR_TOTALS)
        self.telemetry = Telemetry(Settings(), [self.reader])
        self.telemetry.start()

    def message(self, plan: str = "free") -> None:
        self.telemetry.business.message_sent(plan=plan)

    def timed(self, endpoint: str = "/x", seconds: float = 0.1) -> None:
        self.telemetry.http.answered("GET", endpoint, 200, seconds)

    def collect(self) -> MetricsData | None:
        return self.reader.get_metrics_data()
