"""Loss-free delivery: any interleaving of acknowledged, failed and repeated exports adds up to the truth."""

from __future__ import annotations

from collections import Counter
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import MetricsData

from telemetry.catalogue import http
from telemetry.pipeline import delivery as module
from telemetry.pipeline.delivery import Delivery
from telemetry.pipeline.parts import count_points, deltas, join, split, totals
from telemetry.pipeline.transport import Answer, Outcome
from tests.telemetry.pipeline.fakes import BUSY, TAKEN, UNANSWERED, UNREACHABLE, Ledger, Recording, Script

EVENTS = st.lists(st.tuples(st.sampled_from(["free", "pro"]), st.floats(0, 200)), max_size=5)
ANSWERS = st.sampled_from([TAKEN, BUSY, UNREACHABLE, UNANSWERED])
STEPS = st.lists(st.tuples(EVENTS, st.lists(ANSWERS, min_size=1, max_size=4)), max_size=12)


class _Unreliable(Script):
    """Answers each part of an export in turn; an export without an answer was taken every second time."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self.doubled = Ledger()
        self._takes_next = True

    def send(self, data: MetricsData, timeout: float) -> Answer:
        self.answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if self.answer.outcome is Outcome.UNANSWERED:
            self._takes_next = not self._takes_next
            if self._takes_next:
                self.taken.take(data)
                self.doubled.take(data)
        return super().send(data, timeout)


def _expected(seconds: list[float]) -> Counter[tuple[str, int]]:
    bounds = http.DURATION.buckets
    places = (next((i for i, bound in enumerate(bounds) if value <= bound), len(bounds)) for value in seconds)
    return Counter(("http_request_duration_seconds", place) for place in places)


@settings(deadline=None)
@given(STEPS, st.integers(1, 6))
def test_any_interleaving_adds_up(steps: list[tuple[list[tuple[str, float]], list[Answer]]], limit: int) -> None:
    """Sums add, histograms add bucket by bucket, a reading is the last one; an unanswered export counts at most once more."""
    transport, recording = _Unreliable(), Recording()
    delivery = Delivery(transport)
    truth: Counter[str] = Counter()
    seconds: list[float] = []
    with mock.patch.object(module, "MAX_POINTS", limit):
        for number, (events, answers) in enumerate([*steps, ([], [TAKEN])], start=1):
            for plan, value in events:
                recording.message(plan)
                recording.timed(f"/{plan}", value)
                seconds.append(value)
            truth.update({"messages_sent_total": len(events), "http_request_duration_seconds": len(events)})
            recording.telemetry.business.observe_users_active({"free": number})
            recording.telemetry.http.started("GET", "/x")
            transport.answers = list(answers)
            delivery.deliver(recording.collect(), 1.0)
    assert delivery.pending is None
    for name in ("messages_sent_total", "http_request_duration_seconds"):
        assert transport.taken.counts[name] == truth[name] + transport.doubled.counts[name]
    durations = Counter({key: n for key, n in transport.taken.buckets.items() if "http" in key[0]})
    durations.subtract(transport.doubled.buckets)
    assert +durations == _expected(seconds)
    assert transport.taken.readings["users_active", "free"] == number
    assert transport.taken.readings["http_requests_in_progress", "/x"] == number


def test_pending_is_bounded_by_series() -> None:
    """A long outage keeps one point a series, with the sum of all that happened."""
    transport, recording = Script(), Recording()
    transport.answer = BUSY
    delivery = Delivery(transport)
    for _ in range(50):
        recording.message()
        delivery.deliver(recording.collect(), 1.0)
    assert delivery.pending is not None
    assert count_points(delivery.pending) == 1
    assert totals(delivery.pending) == {"messages_sent_total": 50}


def test_stale_reading_is_not_repeated() -> None:
    """A reading that was forgotten during an outage is absent afterwards, not the one from before."""
    transport, recording = Script(), Recording()
    delivery = Delivery(transport)
    transport.answer = UNREACHABLE
    recording.telemetry.business.observe_users_active({"free": 3})
    delivery.deliver(recording.collect(), 1.0)
    recording.telemetry.business.forget_readings()
    recording.message()
    transport.answer = TAKEN
    assert delivery.deliver(recording.collect(), 1.0)
    assert "users_active" not in transport.taken.names
    assert transport.taken.counts["messages_sent_total"] == 1


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 12), st.integers(1, 12))
def test_parts_are_the_whole(series: int, limit: int) -> None:
    """An export taken apart has each point once, in parts within the limit; joined, it has what must not be lost."""
    recording = Recording()
    for number in range(series):
        recording.timed(f"/{number}")
    data = recording.collect()
    assert data is not None
    parts = split(data, limit)
    assert all(0 < count_points(part) <= limit for part in parts)
    assert totals(join(parts)) == totals(data)
    assert sum(count_points(part) for part in parts) == count_points(data)
    kept, wanted = join(parts), deltas(data)
    assert kept is not None
    assert wanted is not None
    assert count_points(kept) == count_points(wanted)
