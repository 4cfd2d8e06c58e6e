"""The instruments of the catalogue: what threads, collections, declarations, readings and hostile input do to them."""

from __future__ import annotations

import random
import threading
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from telemetry import Settings, guard, testing
from telemetry.catalogue import CounterSpec, HistogramSpec, LevelSpec, http
from telemetry.catalogue.database import CONNECTIONS_ACTIVE
from telemetry.catalogue.http import DURATION
from telemetry.setup import Telemetry
from tests.support import chat
from tests.support.beside import at_once
from tests.support.chat import CHAT


def test_threads_lose_no_increment(captured: testing.Captured) -> None:
    """Increments of many threads at once all count, in counters and in histograms."""

    def record() -> None:
        for _ in range(2_000):
            captured.telemetry.http.answered("GET", "/x", 200, 0.1)

    at_once(lambda _: record(), 8)
    assert captured.total("http_requests_total") == 16_000
    assert captured.value("http_request_duration_seconds", method="GET", endpoint="/x") == 16_000


def test_closed_series_exist_at_zero(captured: testing.Captured) -> None:
    """Every counter whose label values are known has all its series before the first event."""
    captured.telemetry.instruments.declare_closed()
    for plan in ("free", "pro", "enterprise"):
        assert captured.value("messages_sent_total", user_plan=plan) == 0.0
    assert captured.value("telemetry_unanswered_exports_total") == 0.0
    assert captured.series("messages_sent_total") == {}


def test_levels_add_up_and_readers_may_fail(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers of one level add up; one that fails takes neither the others nor the collection with it."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    level = captured.telemetry.instruments.observed_level(CONNECTIONS_ACTIVE)

    def broken() -> Iterator[Any]:
        raise OSError("the pool is gone")
        yield

    level.read_from(lambda: [({"pool": "main"}, 2)])
    level.read_from(broken)
    level.read_from(lambda: [({"pool": "main"}, 3)])
    assert captured.value("db_connections_active", pool="main") == 5


def test_level_that_is_not_read_any_more_is_gone(captured: testing.Captured) -> None:
    """A series that no reader reads is absent, which is not 0, and comes back when it is read again."""
    readings: list[Any] = [({"pool": "main"}, 2), ({"pool": "other pool"}, 1)]
    captured.telemetry.instruments.observed_level(CONNECTIONS_ACTIVE).read_from(lambda: readings)
    assert captured.total("db_connections_active") == 3
    gone = readings.pop()
    assert captured.value("db_connections_active", pool="other pool") is None
    readings.append(gone)
    assert captured.total("db_connections_active") == 3


def test_facts_are_replaced_as_a_whole(captured: testing.Captured) -> None:
    """A reading replaces the last one: what is not in it is gone, and a forgotten reading is absent, not 0."""
    business = chat.of(captured.telemetry)
    business.observe_users_active({"free": 3, "pro": 1})
    assert captured.value("users_active", plan="pro") == 1
    business.observe_users_active({"free": 4})
    assert captured.series("users_active") == {(("plan", "free"),): 4}
    business.forget_readings()
    assert captured.value("users_active", plan="free") is None


def test_readings_with_ever_new_labels_take_no_room(captured: testing.Captured) -> None:
    """A fact whose labels change with every reading keeps the last reading only, and no budget is used up."""
    for number in range(3_000):
        chat.of(captured.telemetry).observe_quota_used([(f"user-{number}", "free", 5)])
    assert captured.series("storage_quota_used_bytes") == {(("plan", "free"), ("user_id", "user-2999")): 5}
    assert len(captured.telemetry.instruments.fact(chat.USERS_ACTIVE)._stream.all()) == 0


def test_first_records_of_all_threads_count() -> None:
    """Threads that record while the first box is made lose nothing, histograms included."""
    for _ in range(5):
        captured = testing.Captured(Settings())
        barrier = threading.Barrier(6)

        def record(captured: testing.Captured = captured, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            captured.telemetry.http.answered("GET", "/x", 200, 0.1)

        at_once(lambda _: record(), 6)
        assert captured.total("http_requests_total") == captured.total("http_request_duration_seconds") == 6


def test_start_that_fails_is_tried_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A pipeline that cannot start stays silent; no event tries again, and none fails."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    tries = []

    def fail(*args: object) -> None:
        tries.append(args)
        raise ImportError("not installed")

    monkeypatch.setattr("telemetry.pipeline.pipeline.build_transport", fail)
    telemetry = Telemetry(Settings(exporters=("otlp",), state_dir=tmp_path))
    for number in range(50):
        telemetry.http.answered("GET", f"/{number}", 200, 0.1)
    telemetry.shutdown()
    assert len(tries) == 1


def test_buckets_and_sum_are_those_of_the_values(captured: testing.Captured) -> None:
    """Every value is in the bucket whose upper bound is the first that is not below it; bounds themselves included."""
    draw = random.Random(5)
    values = [*(draw.expovariate(1) for _ in range(500)), *DURATION.buckets, 0.0]
    expected = [0] * (len(DURATION.buckets) + 1)
    for value in values:
        captured.telemetry.http.answered("GET", "/x", 200, value)
        expected[bisect_left(DURATION.buckets, value)] += 1
    assert captured.buckets(DURATION.name, method="GET", endpoint="/x") == expected
    assert captured.histogram_sum(DURATION.name, method="GET", endpoint="/x") == pytest.approx(sum(values))


def test_value_beyond_reason_is_rejected(captured: testing.Captured) -> None:
    """A value so large that a few of them would make a sum infinite costs itself, not what was recorded before it."""
    captured.telemetry.http.answered("GET", "/x", 200, 0.5)
    captured.telemetry.http.answered("GET", "/x", 200, 1.7e308)
    assert captured.value("http_request_duration_seconds", method="GET", endpoint="/x") == 1
    assert captured.value("telemetry_rejected_values_total", metric="http_request_duration_seconds") == 1


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


def _recording(captured: testing.Captured, spec: Any) -> Any:
    instruments = captured.telemetry.instruments
    match spec:
        case CounterSpec():
            return instruments.counter(spec).add
        case HistogramSpec():
            return instruments.histogram(spec).record
        case LevelSpec() if spec in (http.IN_PROGRESS, http.WEBSOCKETS_OPEN):
            return instruments.level(spec).add
    # A reading replaces the one before; which of several readers read the last one is of no interest here.
    readings: list[Any] = []
    if isinstance(spec, LevelSpec):
        instruments.observed_level(spec).read_from(lambda: readings)
        return lambda amount, labels: (
            readings.__setitem__(slice(None), [(labels, amount)]),
            captured.telemetry.observe(),
        )
    return lambda amount, labels: instruments.fact(spec).set_all([(labels, amount)])


@pytest.mark.parametrize("spec", CHAT.specs, ids=lambda spec: spec.name)
def test_hostile_input_never_raises(spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No labels and no amount, however wrong, raise into the application, and a right one still counts afterwards."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    with testing.captured(catalogue=chat) as captured:
        record = _recording(captured, spec)
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
    for spec in CHAT.specs:
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
