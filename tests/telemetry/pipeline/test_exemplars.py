"""Exemplars lead from a value of a histogram to its trace, cost no count, and are none unless somebody asks for them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.trace import format_span_id, format_trace_id

from support.ports import free_port
from support.waiting import eventually
from telemetry.box import header
from telemetry.box.dead import dead_boxes
from telemetry.box.header import Role
from telemetry.metrics.exemplars import ExemplarFilter
from telemetry.pipeline.adoption import Adoption
from telemetry.pipeline.transport import build_transport
from telemetry.settings.destination import Destination
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import BEGIN, line, started
from tests.support.spans import SPAN_ID, TRACE_ID, context, current
from tests.telemetry.pipeline.fakes import BUSY, TAKEN, Exporting, Script, points_of

DURATION = "http_request_duration_seconds"
OTHER_TRACE, OTHER_SPAN = 0xB, 0xC
TRACED = f"{BEGIN}\nfrom tests.support import spans\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A state directory."""
    return tmp_path / "state"


def _exporting(place: Path, script: Script | None = None, which: ExemplarFilter = "trace_based") -> Exporting:
    return Exporting(place, script, exemplar_filter=which)


def _exemplars(data: MetricsData, metric: str = DURATION) -> list[Any]:
    return [exemplar for name, point in points_of(data) if name == metric for exemplar in point.exemplars]


def _ids(data: MetricsData, metric: str = DURATION) -> list[tuple[int, int]]:
    return [(exemplar.trace_id, exemplar.span_id) for exemplar in _exemplars(data, metric)]


def _die(process: Exporting) -> None:
    box = process.telemetry.meter_provider.renew()
    assert box is not None
    box.leave()


def _adopt(place: Path, script: Script) -> Exporting:
    heir = _exporting(place, script)
    target = heir.telemetry.meter_provider.box.process["target"]
    Adoption(place, target, heir.delivery, 3600.0, heir.observed, heir.telemetry.settle_for).adopt(b"r" * 16, 5.0)
    return heir


def _pages(place: Path) -> list[Any]:
    pages: list[Any] = []
    for box in dead_boxes(place):
        pages += [segment.page for segment in box._segments if segment.header.role is Role.PAGE]
        box.leave()
    return pages


def test_value_says_its_trace(place: Path) -> None:
    """An exemplar is the value, when it was recorded and the ids of the sampled span: no label, nothing of a user."""
    process = _exporting(place)
    with current():
        process.timed(seconds=0.3)
    process.export()
    began, ended = process.telemetry.meter_provider.box.totals[0].header.times
    (exemplar,) = _exemplars(process.transport.sent[0])
    assert (exemplar.trace_id, exemplar.span_id, exemplar.value) == (TRACE_ID, SPAN_ID, 0.3)
    assert began < exemplar.time_unix_nano <= ended
    assert not exemplar.filtered_attributes


@pytest.mark.parametrize(
    ("which", "sampled", "kept"),
    [
        ("always_off", True, 0),
        ("trace_based", True, 1),
        ("trace_based", False, 0),
        ("always_on", True, 1),
        ("always_on", False, 1),
    ],
)
def test_filter_says_which_values(place: Path, which: ExemplarFilter, sampled: bool, kept: int) -> None:
    """The filter of OpenTelemetry's name lets values of sampled spans, of any span or of none pass; the default is none."""
    process = _exporting(place, which=which)
    process.timed()  # of no span: there is nothing to lead to
    with current(sampled=sampled):
        process.timed()
    process.export()
    assert len(_exemplars(process.transport.sent[0])) == kept
    assert process.transport.taken.counts[DURATION] == 2


def test_newest_of_each_bucket(place: Path) -> None:
    """Of each bucket the newest value is kept, and an interval's exemplars leave once: bounded, however many events."""
    process = _exporting(place)
    for number in range(1, 100):
        with current(span_id=number):
            process.timed(seconds=0.3)
            process.timed(seconds=7.0)
    process.export()
    process.timed(seconds=0.3)
    process.export()
    assert sorted((one.value, one.span_id) for one in _exemplars(process.transport.sent[0])) == [(0.3, 99), (7.0, 99)]
    assert _exemplars(process.transport.sent[1]) == []


def test_series_have_their_own(place: Path) -> None:
    """With many more series than places, an exemplar is shown at the series whose value it is, and at no other."""
    process = _exporting(place)
    meter = process.telemetry.meter_provider.get_meter("own")
    histogram = meter.create_histogram("own_seconds", explicit_bucket_boundaries_advisory=[1.0])
    for number in range(1500):
        with current(span_id=number + 1):
            histogram.record(number / 1000, {"number": number})
    process.export()
    points = [point for sent in process.transport.sent for name, point in points_of(sent) if name == "own_seconds"]
    kept = [(point.attributes["number"], exemplar) for point in points for exemplar in point.exemplars]
    assert len(points) == 1500
    assert len(kept) > 500
    assert all((one.span_id, one.value) == (number + 1, number / 1000) for number, one in kept)


def test_context_of_a_measurement(place: Path) -> None:
    """A measurement that names its context is of the span of that one."""
    process = _exporting(place)
    histogram = process.telemetry.meter_provider.get_meter("own").create_histogram("own_seconds")
    with current():
        histogram.record(1.0, {}, context(OTHER_TRACE, OTHER_SPAN))
        histogram.record(7.0, {})
    process.export()
    assert sorted(_ids(process.transport.sent[0], "own_seconds")) == [(OTHER_TRACE, OTHER_SPAN), (TRACE_ID, SPAN_ID)]


@pytest.mark.parametrize("amount", [float("nan"), -1.0, "x", 1e300], ids=["nan", "negative", "text", "huge"])
def test_what_is_not_recorded_has_none(place: Path, amount: Any) -> None:
    """A value that is rejected leaves no exemplar."""
    process = _exporting(place)
    histogram = process.telemetry.meter_provider.get_meter("own").create_histogram("own_seconds")
    with current():
        histogram.record(amount, {})
    process.export()
    assert all(_exemplars(sent, "own_seconds") == [] for sent in process.transport.sent)


def test_repeat_is_the_same_export(place: Path) -> None:
    """An export that is sent again is the same bytes, whatever was recorded in between; the next one has that."""
    script = Script()
    process = _exporting(place, script)
    with current():
        process.timed(seconds=0.3)
    script.answer = BUSY
    process.export()
    with current(OTHER_TRACE, OTHER_SPAN):
        process.timed(seconds=0.3)
    script.answer = TAKEN
    process.export()
    process.export()
    first, repeat, rest = script.sent
    assert encode_metrics(first).SerializeToString() == encode_metrics(repeat).SerializeToString()
    assert _ids(first) == [(TRACE_ID, SPAN_ID)]
    assert _ids(rest) == [(OTHER_TRACE, OTHER_SPAN)]


def test_killed_process_leaves_its_exemplars(place: Path) -> None:
    """Whoever delivers for a killed process sends its exemplars with its counts."""
    code = "import os, signal\nwith spans.current():\n    timed(0.3)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    more = {
        "TELEMETRY_STATE_DIR": str(place),
        "OTEL_METRICS_EXEMPLAR_FILTER": "trace_based",
        "OTEL_METRIC_EXPORT_INTERVAL": "600000",
    }
    sink = OtlpSink()
    try:
        with started(code, sink.url, begin=TRACED, **more) as process:
            process.wait(60)
        with started("t.force_flush(); say('flushed')", sink.url, begin=TRACED, **more) as heir:
            assert line(heir) == "flushed"
            assert eventually(lambda: sink.total(DURATION) == 1)
            assert eventually(lambda: bool(sink.exemplars))
    finally:
        sink.close()
    assert [(one.trace_id, one.span_id, one.as_double) for _, one in sink.exemplars] == [
        (TRACE_ID.to_bytes(16), SPAN_ID.to_bytes(8), 0.3)
    ]


def test_forked_child_has_none_of_its_parents(place: Path) -> None:
    """A child that counts into the same series sends its own exemplars, and none of its parent's."""
    process = _exporting(place)
    with current():
        process.timed(seconds=0.3)
    process.telemetry.after_fork_in_child()  # what a fork does in the child
    with current(OTHER_TRACE, OTHER_SPAN):
        process.timed(seconds=7.0)
    process.export()
    assert _ids(process.transport.sent[0]) == [(OTHER_TRACE, OTHER_SPAN)]


def test_damage_costs_no_count(place: Path) -> None:
    """Whatever stands where exemplars are kept, every count of the box is delivered, and no exemplar is made up."""
    process = _exporting(place)
    with current():
        process.timed()
    box = process.telemetry.meter_provider.box
    page = next(segment for segment in box._segments if segment.exemplars is not None)
    page._bytes[header.LENGTH :] = random.Random(1).randbytes(len(page) - header.LENGTH)
    _die(process)
    script = Script()
    _adopt(place, script)
    assert script.taken.counts[DURATION] == 1
    assert [exemplar for sent in script.sent for exemplar in _exemplars(sent)] == []


def test_code_that_knows_none_reads_the_box(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a version without exemplars their block is an empty page: it delivers the counts, and sets nothing aside."""
    process = _exporting(place)
    with current():
        process.timed()
    _die(process)
    monkeypatch.setattr(header.Header, "has_exemplars", False)
    assert _pages(place) == [[]]
    script = Script()
    _adopt(place, script)
    assert script.taken.counts[DURATION] == 1
    assert not list(place.glob("*.damaged"))


def test_page_of_a_host_has_those_of_all(place: Path) -> None:
    """Without a collector, the endpoint shows newest exemplars of each process of the host, as OpenMetrics has them."""
    port = free_port()
    more = {
        "TELEMETRY_STATE_DIR": str(place),
        "OTEL_METRICS_EXEMPLAR_FILTER": "trace_based",
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
    }
    code = "with spans.current({trace}, {span}): timed({seconds})\nt.force_flush(); say('timed'); sys.stdin.read()\n"
    with (
        started(code.format(trace=TRACE_ID, span=SPAN_ID, seconds=0.3), "", begin=TRACED, **more) as one,
        started(code.format(trace=OTHER_TRACE, span=OTHER_SPAN, seconds=700.0), "", begin=TRACED, **more) as other,
    ):
        assert line(one) == line(other) == "timed"
        page = httpx.get(
            f"http://localhost:{port}/metrics", headers={"Accept": "application/openmetrics-text"}, trust_env=False
        ).text
    shown = [text for text in page.splitlines() if text.startswith(f"{DURATION}_bucket") and " # " in text]
    ids = [f'{{span_id="{format_span_id(s)}",trace_id="{format_trace_id(t)}"}}' for t, s in _BOTH]
    assert [text.partition(" # ")[2].split()[:2] for text in shown] == [[ids[0], "0.3"], [ids[1], "700.0"]]
    assert 'le="+Inf"' in shown[1]


_BOTH = ((TRACE_ID, SPAN_ID), (OTHER_TRACE, OTHER_SPAN))


def test_ids_are_hexadecimal_in_json(place: Path) -> None:
    """OTLP in JSON has the ids of exemplars in hexadecimal, unlike other bytes in protobuf's JSON."""
    sink = OtlpSink()
    try:
        process = Exporting(place, exemplar_filter="trace_based")
        with current():
            process.timed()
        process.export()
        bodies: list[bytes] = []
        transport = build_transport(Destination(url=sink.url, protocol="http/json"))
        transport._compress = lambda body: bodies.append(body) or body  # type: ignore[attr-defined]
        transport.send(process.transport.sent[0], 5.0)
        assert f'"traceId": "{format_trace_id(TRACE_ID)}"'.encode() in bodies[0]
        assert f'"spanId": "{format_span_id(SPAN_ID)}"'.encode() in bodies[0]
    finally:
        sink.close()
