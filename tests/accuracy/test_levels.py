"""What is true now: levels end with their process, workers that are gone are 0, shared truths are not multiplied."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.accuracy.conftest import Check
from tests.accuracy.programs import RECORD
from tests.support.collector import Collector, Sender
from tests.support.processes import eventually, line, started
from tests.telemetry.celery import fleet as celery_fleet

LEVEL = "http_requests_in_progress"
HOLD = RECORD + "\nt.http.started('GET', '/x'); t.force_flush(); say('held'); sys.stdin.read()"


@pytest.fixture
def long_check(request: pytest.FixtureRequest) -> Check:
    """The rows of a scenario that has no short form."""
    return Check((request.function.__doc__ or "").partition(":")[0])


@pytest.mark.accuracy
def test_levels_of_a_killed_process(long_check: Check, collector: Collector) -> None:
    """Requests in progress in 2 processes, one of them SIGKILLed: its series is gone within a minute."""
    with started(HOLD, collector.endpoint) as first, started(HOLD, collector.endpoint) as second:
        assert [line(first), line(second)] == ["held", "held"]
        long_check.exact("in progress", 2, collector.settles_at(LEVEL, 2))
        first.kill()
        killed_at = time.monotonic()
        assert eventually(lambda: collector.total(LEVEL) == 1, 90)
        seconds = time.monotonic() - killed_at
        long_check.exact("in progress after it", 1, collector.total(LEVEL))
        long_check.within("seconds until the series was gone", 60, seconds, 0, 75, "60 s after its last report")


@pytest.mark.accuracy
def test_workers_killed_at_once(long_check: Check, collector: Collector, tmp_path: Path) -> None:
    """All Celery workers SIGKILLed at once: their sum is 0, not absent, as long as one replica lives."""
    broker = celery_fleet.Broker(tmp_path)
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    try:
        with celery_fleet.running(broker, tmp_path) as fleet:
            fleet.start_publisher(**variables)
            workers = [fleet.start_worker(name=name, **variables) for name in ("w1", "w2")]
            long_check.exact("active workers", 2, collector.settles_at("celery_active_workers", 2, 40))
            for worker in workers:
                fleet.kill(worker)
            long_check.exact("active workers after it", 0, collector.settles_at("celery_active_workers", 0, 40))
            long_check.exact("series", 2, len(collector.series("celery_active_workers")))
    finally:
        broker.stop()


def test_shared_truths(check: Check, collector: Collector) -> None:
    """A queue length and active users, reported by 3 replicas: one series, not three times the truth."""
    for _ in range(3):
        for instance in ("a", "b", "c"):
            sender = Sender(collector, instance)
            sender.fact("celery_queue_length", 5, {"queue": "high"})
            sender.fact("users_active", 7, {"plan": "free"})
    check.exact("queue length", 5, collector.settles_at("celery_queue_length", 5))
    check.exact("users active", 7, collector.settles_at("users_active", 7))
