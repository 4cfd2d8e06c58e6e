"""Loss-free delivery: any interleaving of acknowledged and failed exports adds up to the truth."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricExportResult, MetricsData

from telemetry import Settings
from telemetry.pipeline.delivery import Delivery, totals
from telemetry.pipeline.reader import DELTA_FOR_TOTALS
from telemetry.setup import Telemetry

EVENTS = st.lists(st.tuples(st.sampled_from(["free", "pro"]), st.floats(0, 100)), max_size=5)
STEPS = st.lists(st.tuples(EVENTS, st.booleans()), max_size=12)


class _Collector(MetricExporter):
    """Takes an export or refuses it, and adds up what it took."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = True
        self.counts: Counter[str] = Counter()
        self.buckets: Counter[tuple[str, int]] = Counter()
        self.facts: dict[str, float] = {}

    def export(self, metrics_data: MetricsData, timeout_millis: float = 0, **kwargs: Any) -> MetricExportResult:
        if not self.answers:
            return MetricExportResult.FAILURE
        for resource in metrics_data.resource_metrics:
            for metric in resource.scope_metrics[0].metrics:
                for point in metric.data.data_points:
                    self._take(metric.name, point)
        return MetricExportResult.SUCCESS

    def _take(self, name: str, point: Any) -> None:
        if name == "users_active":
            self.facts[point.attributes["plan"]] = point.value
        elif hasattr(point, "bucket_counts"):
            self.counts[name] += point.count
            for index, count in enumerate(point.bucket_counts):
                self.buckets[name, index] += count
        else:
            self.counts[name] += point.value

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **kwargs: Any) -> None:
        pass


@given(STEPS)
def test_any_interleaving_adds_up(steps: list[tuple[list[tuple[str, float]], bool]]) -> None:
    """Sums add, histograms add bucket by bucket, a fact is the last one said; whatever failed in between."""
    collector, reader = _Collector(), InMemoryMetricReader(preferred_temporality=DELTA_FOR_TOTALS)
    telemetry = Telemetry(Settings(), [reader])
    telemetry.start()
    delivery = Delivery(collector)
    truth: Counter[str] = Counter()
    number = 0
    for events, answers in [*steps, ([], True)]:
        for plan, seconds in events:
            telemetry.business.message_sent(plan=plan)
            telemetry.http.answered("GET", f"/{plan}", 200, seconds)
            truth["messages_sent_total"] += 1
            truth["http_request_duration_seconds"] += 1
        number += 1
        telemetry.business.observe_users_active({"free": number})
        collector.answers = answers
        assert delivery.deliver(reader.get_metrics_data(), 1.0) is answers
    assert delivery.pending is None
    for name in ("messages_sent_total", "http_request_duration_seconds"):
        assert collector.counts[name] == truth[name]
    buckets = sum(n for (name, _), n in collector.buckets.items() if name == "http_request_duration_seconds")
    assert buckets == truth["http_request_duration_seconds"]
    assert collector.facts["free"] == number


def test_pending_is_bounded_by_series() -> None:
    """A long outage keeps one point a series, with the sum of all that happened."""
    collector, reader = _Collector(), InMemoryMetricReader(preferred_temporality=DELTA_FOR_TOTALS)
    collector.answers = False
    telemetry = Telemetry(Settings(), [reader])
    telemetry.start()
    delivery = Delivery(collector)
    for _ in range(50):
        telemetry.business.message_sent(plan="free")
        delivery.deliver(reader.get_metrics_data(), 1.0)
    assert delivery.pending is not None
    metrics = delivery.pending.resource_metrics[0].scope_metrics[0].metrics
    assert sum(len(metric.data.data_points) for metric in metrics) == 1
    assert totals(delivery.pending) == {"messages_sent_total": 50}
