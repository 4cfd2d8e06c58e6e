"""Compares what the collector shows with the truth of `programs.RECORD`; it waits until the figures stand still."""

from __future__ import annotations

from tests.accuracy import programs
from tests.accuracy.conftest import Check
from tests.support.collector import Collector

SECONDS = "http_request_duration_seconds"


def check_events(check: Check, collector: Collector, events: int, *, per_record: int | None = None) -> None:
    """Counter, histogram count, buckets and sum of `events` events, made by calls of `record(per_record)`."""
    each = per_record or events
    check.exact("counter", events, collector.settles_at("messages_sent_total", events, user_plan="free"))
    check.exact("histogram", events, collector.settles_at(SECONDS, events))
    times = events / each
    truth = {bound: count * times for bound, count in programs.buckets(each).items()}
    shown = bucket_counts(collector)
    wrong = {bound for bound, count in truth.items() if shown.get(bound) != count}
    check.exact("buckets that differ", 0, len(wrong))
    check.exact("points dropped inside the collector", 0, collector.dropped_points())


def bucket_counts(collector: Collector) -> dict[str, float]:
    """Cumulative counts of the histogram by `le`."""
    shown: dict[str, float] = {}
    for (name, labels), value in collector.samples("TOTALS").items():
        if name == f"{SECONDS}_bucket":
            bound = dict(labels)["le"]
            bound = bound if bound == "+Inf" else f"{float(bound):g}"
            shown[bound] = shown.get(bound, 0) + value
    return shown
