"""Bound instruments: cells, readers, declarations, and the start of the pipeline."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from telemetry import Settings, guard, testing
from telemetry.catalogue import ALL, CounterSpec
from telemetry.catalogue.database import CONNECTIONS_ACTIVE
from telemetry.catalogue.http import DURATION, EndpointLabels
from telemetry.setup import Telemetry


def test_threads_lose_no_increment(captured: testing.Captured) -> None:
    """Increments of many threads at once all count, in counters and in histograms."""

    def record() -> None:
        for _ in range(2_000):
            captured.telemetry.http.answered("GET", "/x", 200, 0.1)

    threads = [threading.Thread(target=record) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert captured.total("http_requests_total") == 16_000
    assert captured.value("http_request_duration_seconds", method="GET", endpoint="/x") == 16_000


def test_collecting_meanwhile_loses_nothing(captured: testing.Captured) -> None:
    """Collections during the recording neither lose nor repeat an increment."""
    done = threading.Event()

    def record() -> None:
        for _ in range(5_000):
            captured.telemetry.business.message_sent(plan="free")
        done.set()

    thread = threading.Thread(target=record)
    thread.start()
    while not done.is_set():
        captured.total("messages_sent_total")
    thread.join()
    assert captured.total("messages_sent_total") == 5_000


def test_closed_series_exist_at_zero(captured: testing.Captured) -> None:
    """Every counter whose label values are known has all its series before the first event."""
    captured.telemetry.instruments.declare_closed()
    for plan in ("free", "pro", "enterprise"):
        assert captured.value("messages_sent_total", user_plan=plan) == 0.0
    assert captured.value("telemetry_unanswered_exports_total") == 0.0
    assert captured.series("messages_sent_total") == {}


def test_levels_add_up_and_readers_may_fail(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers of one level add up; one that fails takes neither the others nor the collection with it."""
    monkeypatch.delenv(guard.STRICT_VARIABLE)
    level = captured.telemetry.instruments.level(CONNECTIONS_ACTIVE)

    def broken() -> Iterator[Any]:
        raise OSError("the pool is gone")
        yield

    level.read_from(lambda: [({"pool": "main"}, 2)])
    level.read_from(broken)
    level.read_from(lambda: [({"pool": "main"}, 3)])
    assert captured.value("db_connections_active", pool="main") == 5


def test_facts_are_replaced_as_a_whole(captured: testing.Captured) -> None:
    """A reading replaces the last one: what is not in it is gone, and a forgotten reading is absent, not 0."""
    business = captured.telemetry.business
    business.observe_users_active({"free": 3, "pro": 1})
    assert captured.value("users_active", plan="pro") == 1
    readings = Telemetry(Settings(), [InMemoryMetricReader()])
    readings.business.observe_users_active({"free": 3, "pro": 1})
    readings.business.observe_users_active({"free": 4})
    instrument = readings.instruments._bound["users_active"]
    assert [(dict(o.attributes or {}), o.value) for o in instrument.observe()] == [({"plan": "free"}, 4.0)]  # type: ignore[attr-defined]
    readings.business.forget_readings()
    assert list(instrument.observe()) == []  # type: ignore[attr-defined]


def test_first_records_of_all_threads_count() -> None:
    """Threads that record while the pipeline starts lose nothing, histograms included."""
    for _ in range(5):
        reader = InMemoryMetricReader()
        telemetry = Telemetry(Settings(), [reader])
        attach = telemetry.instruments.attach

        def slow(meter: Any, attach: Any = attach) -> None:
            time.sleep(0.02)
            attach(meter)

        telemetry.instruments.attach = slow  # type: ignore[method-assign]
        barrier = threading.Barrier(6)

        def record(telemetry: Telemetry = telemetry, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            telemetry.http.answered("GET", "/x", 200, 0.1)

        threads = [threading.Thread(target=record) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        data = reader.get_metrics_data()
        assert data is not None
        metrics = {m.name: m for m in data.resource_metrics[0].scope_metrics[0].metrics}
        assert metrics["http_request_duration_seconds"].data.data_points[0].count == 6  # type: ignore[union-attr]


def test_start_that_fails_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that cannot start stays silent; no event tries again, and none fails."""
    monkeypatch.delenv(guard.STRICT_VARIABLE)
    tries = []

    def fail(*args: object) -> None:
        tries.append(args)
        raise ImportError("not installed")

    monkeypatch.setattr("telemetry.setup.build_provider", fail)
    telemetry = Telemetry(Settings(), [])
    for number in range(50):
        telemetry.http.answered("GET", f"/{number}", 200, 0.1)
    assert len(tries) == 1


def test_batches_equal_single_values() -> None:
    """What a histogram hands over in one go is what the SDK makes of the single values, over several collections."""
    draw = random.Random(5)
    for temporality in AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE:
        ours, reference = (InMemoryMetricReader(preferred_temporality={Histogram: temporality}) for _ in range(2))
        telemetry = Telemetry(Settings(), [ours])
        plain = MeterProvider(metric_readers=[reference]).get_meter("reference")
        histogram = plain.create_histogram("h", explicit_bucket_boundaries_advisory=DURATION.buckets)
        for _ in range(3):
            values = [*(draw.expovariate(1) for _ in range(500)), *DURATION.buckets, 0.0]
            for value in values:
                telemetry.http.answered("GET", "/x", 200, value)
                histogram.record(value)
            (expected,) = _points(reference, "h")
            (point,) = _points(ours, DURATION.name)
            assert point.bucket_counts == expected.bucket_counts
            assert (point.count, point.min, point.max) == (expected.count, expected.min, expected.max)
            assert point.sum == pytest.approx(expected.sum)


def _points(reader: InMemoryMetricReader, name: str) -> list[Any]:
    data = reader.get_metrics_data()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


def test_sum_beyond_a_float_is_rejected(captured: testing.Captured) -> None:
    """Values that are legal one by one and too large together cost themselves, not what was recorded before them."""
    for _ in range(3):
        captured.telemetry.http.answered("GET", "/x", 200, 1.7e308)
    assert captured.value("http_request_duration_seconds", method="GET", endpoint="/x") == 1
    assert captured.value("telemetry_rejected_values_total", metric="http_request_duration_seconds") == 2


def test_series_held_by_recorders_end_with_a_fork() -> None:
    """What was looked up before a fork is looked up again after it, and starts at nothing."""
    telemetry = Telemetry(Settings(), [InMemoryMetricReader()])
    telemetry.http.answered("GET", "/x", 200, 0.1)
    telemetry.after_fork_in_child()
    child = InMemoryMetricReader()
    telemetry._given_readers = [child]
    telemetry.http.answered("GET", "/x", 200, 0.1)
    data = child.get_metrics_data()
    assert data is not None
    values = {m.name: m.data.data_points for m in data.resource_metrics[0].scope_metrics[0].metrics}
    assert [point.value for point in values["http_requests_total"]] == [1]  # type: ignore[union-attr]
    assert [point.count for point in values["http_request_duration_seconds"]] == [1]  # type: ignore[union-attr]


HOSTILE = ["", "\ud800", "a\nb\x00", "x" * 100_000, None, 7, 1.5, True, b"bytes", ["list"], {}, object(), 10**6000]


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


class _Lying(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_hostile_input_never_raises(spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No labels and no amount, however wrong, raise into the application, and a right one still counts afterwards."""
    monkeypatch.delenv(guard.STRICT_VARIABLE)
    with testing.capture() as captured:
        bound: Any = captured.telemetry.instruments._bound[spec.name]
        record = getattr(bound, "record", None) or getattr(bound, "add", None)
        if record is None:
            record = lambda amount, labels: bound.set_all([(labels, amount)])  # noqa: E731
        amounts = [1, float("nan"), float("inf"), -float("inf"), -1, "1", None, object(), 10**400, True]
        for value in [*HOSTILE, _Unprintable(), _Lying("x")]:
            for amount in amounts:
                record(amount, dict.fromkeys(spec.label_keys, value))
        for labels in ({}, {"no": "such"}, None, [], "text"):
            record(1, labels)
        good = {label.name: label.values[0] if label.values else "good" for label in spec.label_set()}
        record(1, good)
        assert (captured.value(spec.name, **good) or 0) >= 1
        assert all(len(value) <= 200 for key in captured.series(spec.name) for _, value in key)


def test_every_open_label_is_bounded(captured: testing.Captured) -> None:
    """Ten thousand values of every open label make no more series than the budgets allow, and lose no event."""
    for spec in ALL:
        open_labels = [label for label in spec.label_set() if label.budget]
        if not isinstance(spec, CounterSpec) or len(open_labels) != 1:
            continue
        label = open_labels[0]
        rest = {other.name: other.values[0] for other in spec.label_set() if other.values}
        counter = captured.telemetry.instruments.counter(spec)
        for number in range(2_000):
            counter.add(1, {**rest, label.name: f"value-{number}"})
        assert label.budget is not None
        assert len(captured.series(spec.name)) <= label.budget.limit + 1
        if not spec.name.startswith("telemetry_"):
            assert captured.total(spec.name) == 2_000


def test_a_series_notes_a_bounded_number_of_values(captured: testing.Captured) -> None:
    """Between two collections thousands of values are sorted, none is lost, and what is no number is rejected."""
    labels: EndpointLabels = {"method": "GET", "endpoint": "/a"}
    series = captured.telemetry.instruments.histogram(DURATION).bind(labels)
    for _ in range(10_000):
        series.record(0.3)
    series.record("0.3")  # type: ignore[arg-type]
    assert len(series._noted) <= 1001
    assert captured.total(DURATION.name) == 10_000
    assert captured.histogram_sum(DURATION.name, method="GET", endpoint="/a") == pytest.approx(3000)
    assert captured.total("telemetry_rejected_values_total", metric=DURATION.name) == 1
