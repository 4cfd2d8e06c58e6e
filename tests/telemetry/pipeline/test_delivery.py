"""What is sent when: frozen exports and their repeats, zero series, poison, pauses, and two lines in the log an outage."""

from __future__ import annotations

import logging

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricsData

from telemetry.pipeline import delivery as module
from telemetry.pipeline.otlp import SENDER, SEQUENCE, levels_of
from telemetry.pipeline.transport import Answer
from tests.support import chat
from tests.telemetry.pipeline.fakes import BUSY, REFUSED, TAKEN, UNANSWERED, UNREACHABLE, Exporting, moved


@pytest.fixture(autouse=True)
def _nothing_known_of_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Collector, "reached_at", None)


@pytest.fixture
def process() -> Exporting:
    """A process that exports through a script."""
    return Exporting()


def _refuse(*metrics: str) -> object:
    def answer(data: MetricsData) -> Answer:
        return REFUSED if set(metrics) & moved(data) else TAKEN

    return answer


def _encoded(data: MetricsData) -> bytes:
    return encode_metrics(data).SerializeToString()


# --- exports and their repeats ----------------------------------------------------------------------------------------


def test_exports_are_numbered(process: Exporting) -> None:
    """Each export carries its sender and a sequence that grows by one; nothing is sent that has nothing to say."""
    for _ in range(3):
        process.message()
        assert process.export()
        assert process.export()
    said = [data.resource_metrics[0].resource.attributes for data in process.transport.sent]
    assert [attributes[SEQUENCE] for attributes in said] == [1, 2, 3]
    assert len({attributes[SENDER] for attributes in said}) == 1
    assert said[0]["service.name"] == "unknown_service"
    assert process.transport.taken.counts["messages_sent_total"] == 3
    assert process.transport.taken.gaps == 0


@pytest.mark.parametrize("answer", [BUSY, UNREACHABLE, UNANSWERED])
def test_repeat_is_byte_for_byte_the_same(process: Exporting, answer: Answer) -> None:
    """What was not acknowledged goes out again as it was, whatever was counted meanwhile; that follows as the next."""
    process.transport.answer = lambda data: answer if data.resource_metrics else TAKEN
    process.message()
    process.timed()
    for _ in range(3):
        assert not process.export()
        process.message()
        process.timed(f"/{process.clock.now}")
    process.transport.answer = TAKEN
    assert process.export()
    assert process.export()
    exports = [data for data in process.transport.sent if data.resource_metrics]
    assert len({_encoded(data) for data in exports[:4]}) == 1
    assert exports[4].resource_metrics[0].resource.attributes[SEQUENCE] == 2
    assert process.transport.taken.counts["messages_sent_total"] == 4
    assert process.transport.taken.counts["http_request_duration_seconds"] == 4


def test_lost_answer_is_counted_once(process: Exporting) -> None:
    """A collector that took an export and whose answer was lost counts its repeat no second time."""

    def take_and_lose(data: MetricsData) -> Answer:
        process.transport.taken.take(data)
        return UNANSWERED

    process.transport.answer = take_and_lose
    process.message()
    assert not process.export()
    process.transport.answer = TAKEN
    process.message()
    assert process.export()
    assert process.export()
    assert process.transport.taken.counts["messages_sent_total"] == 2
    assert process.transport.taken.doubled["messages_sent_total"] == 3


def test_exports_of_one_process_go_one_way(process: Exporting) -> None:
    """However many blocks a box has, all of a process goes by one route, and a repeat by the one it had."""
    for number in range(400):
        process.timed(f"/a/rather/long/path/of/the/application/{number}")
    process.transport.answer = lambda data: BUSY if data.resource_metrics else TAKEN
    process.export()
    process.transport.answer = TAKEN
    assert process.export()
    assert len(process.telemetry.meter_provider.box.totals) > 2
    assert len(set(process.transport.routes)) == 1
    senders = {r.resource.attributes[SENDER] for data in process.transport.sent for r in data.resource_metrics}
    assert len(senders) == len(process.telemetry.meter_provider.box.totals)
    assert process.transport.taken.counts["http_requests_total"] == 400


def test_exports_acknowledged_before_a_failure_are_not_repeated(
    process: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several requests, those that the collector has are not sent again."""
    monkeypatch.setattr(module, "MOST_POINTS", 1)
    for number in range(400):
        process.timed(f"/a/rather/long/path/of/the/application/{number}")
    process.transport.answer = lambda data: TAKEN if len(process.transport.sent) < 2 else UNREACHABLE
    assert not process.export()
    process.transport.answer = TAKEN
    assert process.export()
    assert process.transport.taken.doubled["http_requests_total"] == 400


# --- zeros ------------------------------------------------------------------------------------------------------------


def test_unmoved_counters_are_left_out(process: Exporting) -> None:
    """A counter that did not move is sent when it is new and when it is announced."""
    process.telemetry.instruments.declare_closed()
    process.message()
    process.export()
    assert process.transport.sizes[0] > 1
    assert process.export()
    assert len(process.transport.sizes) == 1
    process.message()
    process.export()
    assert process.transport.sizes[1:] == [1]
    process.export(announce=True)
    assert process.transport.sizes[2] == process.transport.sizes[0]
    assert process.transport.taken.counts["messages_sent_total"] == 2


def test_new_series_are_named_at_once(process: Exporting) -> None:
    """A series that appears at zero is in the very next export, so that its first increment is seen as one."""
    process.message()
    process.export()
    process.telemetry.http.declare("GET", "/new", 200)
    process.export()
    assert "http_requests_total" in process.transport.taken.names
    assert process.transport.taken.counts["http_requests_total"] == 0


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_poison_is_cut_out(process: Exporting) -> None:
    """A series that the collector refuses for good is given up, counted and logged; everything else arrives."""
    process.transport.answer = _refuse("images_generated_total")  # type: ignore[assignment]
    for _ in range(3):
        process.message()
    chat.of(process.telemetry).image_generated(model="bad", count=7)
    for number in range(20):
        process.timed(f"/{number}")
    assert process.export()
    assert process.observed.lost == {"images_generated_total": 7}
    assert process.transport.taken.counts["messages_sent_total"] == 3
    assert process.transport.taken.counts["http_request_duration_seconds"] == 20
    assert process.telemetry.meter_provider.box.is_done()


def test_poison_is_logged_once_a_metric(process: Exporting, caplog: pytest.LogCaptureFixture) -> None:
    """What is refused again and again is counted each time and logged once."""
    process.transport.answer = _refuse("images_generated_total")  # type: ignore[assignment]
    for _ in range(3):
        chat.of(process.telemetry).image_generated(model="bad")
        process.message()
        process.export()
    assert process.observed.lost == {"images_generated_total": 3}
    assert process.transport.taken.counts["messages_sent_total"] == 3
    (line,) = [record.getMessage() for record in caplog.records]
    assert "400" in line
    assert "images_generated_total 1" in line


def test_what_refuses_everything_is_no_collector(process: Exporting) -> None:
    """A server that answers 400 even to an empty export gets nothing, and nothing is given up; two requests a try."""
    process.transport.answer = REFUSED
    for number in range(20):
        process.timed(f"/{number}")
    assert not process.export()
    assert len(process.transport.sizes) == 2
    assert process.observed.lost == {}
    process.transport.answer = TAKEN
    assert process.export()
    assert process.transport.taken.counts["http_requests_total"] == 20


def test_much_poison_takes_several_exports(process: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cutting out poison never sends more than a bounded number of requests, and goes on with the next export."""
    monkeypatch.setattr(module, "MOST_REFUSALS", 8)
    process.transport.answer = _refuse("http_requests_total")  # type: ignore[assignment]
    for number in range(16):
        process.timed(f"/{number}")
    tries = 0
    delivered = False
    while not delivered:
        before = len(process.transport.sizes)
        delivered = process.export()
        tries += 1
        assert len(process.transport.sizes) - before < 4 * 8
        assert tries < 30
    assert tries > 1
    assert process.observed.lost == {"http_requests_total": 16}
    assert process.transport.taken.counts["http_request_duration_seconds"] == 16


# --- outages ----------------------------------------------------------------------------------------------------------


def test_silence_sends_one_export(process: Exporting) -> None:
    """Where a collector does not remember sequences, an outage that swallows answers doubles one export, not one a try."""
    process.transport.answer = UNANSWERED
    for _ in range(5):
        process.message()
        assert not process.export()
    assert process.transport.sizes == [1, 0, 0, 0, 0]
    assert process.observed.unanswered == 1
    process.transport.answer = BUSY
    assert not process.export()
    process.transport.answer = TAKEN
    assert process.export()
    assert process.export()
    assert process.transport.sizes[5:] == [0, 0, 1, 1]
    assert process.transport.taken.counts["messages_sent_total"] == 5


def test_outage_is_two_lines(process: Exporting, caplog: pytest.LogCaptureFixture) -> None:
    """However long it lasts, an outage is logged when it begins, with the reason, and when it ends, with its length."""
    process.transport.answer = BUSY
    for _ in range(20):
        process.message()
        process.export()
        process.clock.now += 3
    process.transport.answer = TAKEN
    process.export()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "503" in lines[0]
    assert "after 60 s and 20 failed exports; nothing was lost" in lines[1]


def test_recovery_names_what_had_no_answer(process: Exporting, caplog: pytest.LogCaptureFixture) -> None:
    """After exports without an answer the log says who may have counted them twice."""
    caplog.set_level(logging.WARNING)
    process.transport.answer = UNANSWERED
    process.message()
    process.export()
    process.transport.answer = TAKEN
    process.export()
    assert "1 got no answer: a collector that does not remember sequences may have counted them twice" in caplog.text


def test_pauses_are_bounded(process: Exporting) -> None:
    """The first retry comes soon, none comes later than the interval, and a collector may ask for up to a minute."""
    assert process.delivery.pause(15.0) == 15.0
    process.transport.answer = BUSY
    pauses = []
    for _ in range(12):
        process.message()
        process.export()
        pauses.append(process.delivery.pause(15.0))
    assert 0.8 <= pauses[0] <= 1.0
    assert all(0.8 * 15 <= pause <= 15.0 for pause in pauses[4:])
    process.transport.answer = Answer(BUSY.outcome, "it answers 503", retry_after=3600)
    process.export()
    assert process.delivery.pause(15.0) == 60.0


@pytest.mark.parametrize(("answer", "ago", "worth"), [(BUSY, None, True), (UNREACHABLE, None, False), (UNREACHABLE, 5, True), (UNREACHABLE, 60, False)])  # fmt: skip
def test_last_tries_have_a_reason(process: Exporting, answer: Answer, ago: float | None, worth: bool) -> None:
    """At exit it is worth trying again while something answers, or did lately; not where nobody ever listened."""
    if ago is not None:
        process.message()
        process.export()
        process.clock.now += ago
    process.transport.answer = answer
    process.message()
    process.export()
    assert process.delivery.is_worth_another_try() is worth


def test_partial_success_is_not_repeated(process: Exporting, caplog: pytest.LogCaptureFixture) -> None:
    """A collector that took an export but for some points is believed; the log says how many."""
    process.transport.answer = Answer(TAKEN.outcome, "it rejected 3 data points: too old")
    process.message()
    assert process.export()
    assert "rejected 3 data points" in caplog.text


def test_levels_that_are_refused_are_no_outage(process: Exporting, caplog: pytest.LogCaptureFixture) -> None:
    """How things stand is said anew by the next export: a refusal of it holds nothing up."""
    chat.of(process.telemetry).observe_users_active({"free": 3})
    levels = levels_of(process.telemetry.pipeline.series(), {"service.name": "x"}, 1, 2)
    assert levels is not None
    process.transport.answer = REFUSED
    assert not process.delivery.send_levels(levels, 1.0, "route")
    assert not process.delivery.is_failing
    assert not caplog.records
