"""What is sent when: zero series, poison, pauses, and two lines in the log an outage."""

from __future__ import annotations

import logging

import pytest
from opentelemetry.sdk.metrics.export import MetricsData

from telemetry.pipeline import delivery as module
from telemetry.pipeline.delivery import ANNOUNCE_EVERY, Delivery
from telemetry.pipeline.parts import count_points, totals
from telemetry.pipeline.transport import Answer
from tests.telemetry.pipeline.fakes import BUSY, REFUSED, TAKEN, UNANSWERED, UNREACHABLE, Clock, Recording, Script


class _Observed:
    """Counts what a delivery reports."""

    def __init__(self) -> None:
        self.unanswered = 0
        self.lost: dict[str, float] = {}

    def export_unanswered(self) -> None:
        self.unanswered += 1

    def given_up(self, amounts: dict[str, float]) -> None:
        for name, amount in amounts.items():
            self.lost[name] = self.lost.get(name, 0) + amount


@pytest.fixture(autouse=True)
def _nothing_known_of_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Collector, "reached_at", None)


def _refuse(*metrics: str) -> object:
    def answer(data: MetricsData) -> Answer:
        return REFUSED if set(metrics) & set(totals(data)) else TAKEN

    return answer


def test_unmoved_counters_are_left_out() -> None:
    """A counter that did not move is not sent again until it moves or is announced."""
    transport, recording, clock = Script(), Recording(), Clock()
    delivery = Delivery(transport, clock=clock)
    recording.telemetry.instruments.declare_closed()
    recording.message()
    delivery.deliver(recording.collect(), 1.0)
    assert transport.sizes[0] > 1
    assert delivery.deliver(recording.collect(), 1.0)
    assert len(transport.sizes) == 1
    recording.message()
    delivery.deliver(recording.collect(), 1.0)
    assert transport.sizes[1:] == [1]
    clock.now += ANNOUNCE_EVERY
    delivery.deliver(recording.collect(), 1.0)
    assert transport.sizes[2] == transport.sizes[0]
    assert transport.taken.counts["messages_sent_total"] == 2


def test_new_series_are_named_at_once() -> None:
    """A series that appears at zero is in the very next export, so that its first increment is seen as one."""
    transport, recording = Script(), Recording()
    delivery = Delivery(transport)
    recording.message("free")
    delivery.deliver(recording.collect(), 1.0)
    recording.telemetry.http.declare("GET", "/new", 200)
    delivery.deliver(recording.collect(), 1.0)
    assert "http_requests_total" in transport.taken.names
    assert transport.taken.counts["http_requests_total"] == 0


def test_every_series_is_announced_after_an_outage() -> None:
    """A collector that was down may have been restarted: it learns the series that did not move, too."""
    transport, recording, clock = Script(), Recording(), Clock()
    delivery = Delivery(transport, clock=clock)
    recording.telemetry.instruments.declare_closed()
    delivery.deliver(recording.collect(), 1.0)
    transport.answer = UNREACHABLE
    recording.message()
    delivery.deliver(recording.collect(), 1.0)
    transport.answer = TAKEN
    delivery.deliver(recording.collect(), 1.0)
    assert transport.sizes[-1] == transport.sizes[0]


def test_poison_is_cut_out() -> None:
    """A point that the collector refuses for good is given up, counted and logged; everything else arrives."""
    transport, recording, observed = Script(), Recording(), _Observed()
    delivery = Delivery(transport, observed)
    transport.answer = _refuse("images_generated_total")
    for _ in range(3):
        recording.message()
    recording.telemetry.business.image_generated(model="bad", count=7)
    for number in range(20):
        recording.timed(f"/{number}")
    assert delivery.deliver(recording.collect(), 1.0)
    assert observed.lost == {"images_generated_total": 7}
    assert transport.taken.counts["messages_sent_total"] == 3
    assert transport.taken.counts["http_request_duration_seconds"] == 20
    assert delivery.pending is None


def test_poison_is_logged_once_a_metric(caplog: pytest.LogCaptureFixture) -> None:
    """What is refused again and again is counted each time and logged once."""
    transport, recording, observed = Script(), Recording(), _Observed()
    delivery = Delivery(transport, observed)
    transport.answer = _refuse("images_generated_total")
    for _ in range(3):
        recording.telemetry.business.image_generated(model="bad")
        recording.message()
        delivery.deliver(recording.collect(), 1.0)
    assert observed.lost == {"images_generated_total": 3}
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert "400" in lines[0]
    assert "images_generated_total 1" in lines[0]


def test_what_refuses_everything_is_no_collector() -> None:
    """A server that answers 400 even to an empty export gets nothing, and nothing is given up; two requests a try."""
    transport, recording, observed = Script(), Recording(), _Observed()
    delivery = Delivery(transport, observed)
    transport.answer = REFUSED
    for number in range(20):
        recording.timed(f"/{number}")
    assert not delivery.deliver(recording.collect(), 1.0)
    assert len(transport.sizes) == 2
    assert observed.lost == {}
    assert totals(delivery.pending)["http_requests_total"] == 20


def test_much_poison_takes_several_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cutting out poison never sends more than a bounded number of requests, and goes on with the next export."""
    monkeypatch.setattr(module, "MAX_REFUSALS", 8)
    transport, recording, observed = Script(), Recording(), _Observed()
    delivery = Delivery(transport, observed)
    transport.answer = _refuse("http_requests_total")
    for number in range(16):
        recording.timed(f"/{number}")
    tries = 0
    delivered = False
    while not delivered:
        before = len(transport.sizes)
        delivered = delivery.deliver(recording.collect(), 1.0)
        tries += 1
        assert len(transport.sizes) - before < 2 * 8 + 16 + 2
    assert 1 < tries < 10
    assert observed.lost == {"http_requests_total": 16}
    assert transport.taken.counts["http_request_duration_seconds"] == 16


def test_parts_make_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts acknowledged before a failure are not sent again."""
    monkeypatch.setattr(module, "MAX_POINTS", 4)
    transport, recording = Script(), Recording()
    delivery = Delivery(transport)
    for number in range(5):
        recording.timed(f"/{number}")
    transport.answer = lambda data: TAKEN if len(transport.sizes) < 2 else BUSY
    assert not delivery.deliver(recording.collect(), 1.0)
    assert delivery.pending is not None
    assert count_points(delivery.pending) == 6
    transport.answer = TAKEN
    assert delivery.deliver(recording.collect(), 1.0)
    assert transport.taken.counts["http_requests_total"] == 5


def test_silence_doubles_one_export() -> None:
    """Without an answer the collector may have the counts: they are not sent again before it answers an empty export."""
    transport, recording, observed = Script(), Recording(), _Observed()
    delivery = Delivery(transport, observed)
    transport.answer = UNANSWERED
    for _ in range(5):
        recording.message()
        assert not delivery.deliver(recording.collect(), 1.0)
    assert transport.sizes == [1, 0, 0, 0, 0]
    assert observed.unanswered == 1
    transport.answer = BUSY
    assert not delivery.deliver(recording.collect(), 1.0)
    transport.answer = TAKEN
    assert delivery.deliver(recording.collect(), 1.0)
    assert transport.sizes[5:] == [0, 0, 1]
    assert transport.taken.counts["messages_sent_total"] == 5


def test_outage_is_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    """However long it lasts, an outage is logged when it begins, with the reason, and when it ends, with its length."""
    transport, recording, clock = Script(), Recording(), Clock()
    delivery = Delivery(transport, clock=clock)
    transport.answer = BUSY
    for _ in range(20):
        recording.message()
        delivery.deliver(recording.collect(), 1.0)
        clock.now += 3
    transport.answer = TAKEN
    delivery.deliver(recording.collect(), 1.0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "503" in lines[0]
    assert "after 60 s and 20 failed exports; nothing was lost" in lines[1]


def test_recovery_admits_what_may_be_doubled(caplog: pytest.LogCaptureFixture) -> None:
    """After exports without an answer the log does not claim that nothing happened."""
    caplog.set_level(logging.WARNING)
    transport, recording = Script(), Recording()
    delivery = Delivery(transport)
    transport.answer = UNANSWERED
    recording.message()
    delivery.deliver(recording.collect(), 1.0)
    transport.answer = TAKEN
    delivery.deliver(recording.collect(), 1.0)
    assert "1 got no answer, what those carried may be counted twice" in caplog.text


def test_pauses_are_bounded() -> None:
    """The first retry comes soon, none comes later than the interval, and a collector may ask for up to a minute."""
    transport, recording = Script(), Recording()
    delivery = Delivery(transport)
    assert delivery.pause(15.0) == 15.0
    transport.answer = BUSY
    pauses = []
    for _ in range(12):
        recording.message()
        delivery.deliver(recording.collect(), 1.0)
        pauses.append(delivery.pause(15.0))
    assert 0.8 <= pauses[0] <= 1.0
    assert all(0.8 * 15 <= pause <= 15.0 for pause in pauses[4:])
    transport.answer = Answer(BUSY.outcome, "it answers 503", retry_after=3600)
    delivery.deliver(recording.collect(), 1.0)
    assert delivery.pause(15.0) == 60.0


@pytest.mark.parametrize(("answer", "ago", "worth"), [(BUSY, None, True), (UNREACHABLE, None, False), (UNREACHABLE, 5, True), (UNREACHABLE, 60, False)])  # fmt: skip
def test_last_tries_have_a_reason(answer: Answer, ago: float | None, worth: bool) -> None:
    """At exit it is worth trying again while something answers, or did lately; not where nobody ever listened."""
    transport, recording, clock = Script(), Recording(), Clock()
    delivery = Delivery(transport, clock=clock)
    if ago is not None:
        recording.message()
        delivery.deliver(recording.collect(), 1.0)
        clock.now += ago
    transport.answer = answer
    recording.message()
    delivery.deliver(recording.collect(), 1.0)
    assert delivery.is_worth_another_try() is worth


def test_partial_success_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """A collector that took an export but for some points is believed; the log says how many."""
    transport, recording = Script(), Recording()
    delivery = Delivery(transport)
    transport.answer = Answer(TAKEN.outcome, "it rejected 3 data points: too old")
    recording.message()
    assert delivery.deliver(recording.collect(), 1.0)
    assert "rejected 3 data points" in caplog.text
