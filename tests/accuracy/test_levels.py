"""What is true now: levels end with their process, workers that are gone are 0, shared truths are not multiplied."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from support.waiting import eventually
from tests.accuracy.measure import Check
from tests.accuracy.systems.base import System, WithCollector
from tests.support.processes import line
from tests.support.sender import Sender
from tests.telemetry.celery import fleet as celery_fleet

LEVEL = "http_requests_in_progress"
HOLD = "in_progress(); flush(); say('held'); sys.stdin.read()"


@pytest.mark.long
def test_levels_of_a_killed_process(check: Check, system: System) -> None:
    """Requests in progress in 2 processes, one of them SIGKILLed: its share is gone within a minute."""
    with system.started(HOLD) as first, system.started(HOLD) as second:
        assert [line(first), line(second)] == ["held", "held"]
        check.exact("in progress", 2, _settles_at(system, 2))
        first.kill()
        killed_at = time.monotonic()
        eventually(lambda: system.now(LEVEL) == 1, 75)
        seconds = time.monotonic() - killed_at
        check.exact("in progress a minute later", 1, system.now(LEVEL))
        check.limit("seconds until then", seconds, 75)


def _settles_at(system: System, truth: float, metric: str = LEVEL) -> float:
    eventually(lambda: system.now(metric) == truth, 40 if system.is_ours else system.patience)
    return system.now(metric)


@pytest.mark.long
@pytest.mark.needs("workers")
def test_workers_killed_at_once(check: Check, system: System, tmp_path: Path) -> None:
    """All Celery workers SIGKILLed at once: their sum is 0, not absent, as long as one replica lives."""
    broker = celery_fleet.Broker(tmp_path)
    try:
        with celery_fleet.running(broker, tmp_path) as fleet:
            fleet.start_publisher(**system.variables())
            workers = [fleet.start_worker(name=name, **system.variables()) for name in ("w1", "w2")]
            check.exact("active workers", 2, _settles_at(system, 2, "celery_active_workers"))
            for worker in workers:
                fleet.kill(worker)
            check.exact("active workers after it", 0, _settles_at(system, 0, "celery_active_workers"))
    finally:
        broker.stop()


@pytest.mark.needs("otlp")
def test_shared_truths(check: Check, system: WithCollector) -> None:
    """A queue length and active users, reported by 3 replicas: one series, not three times the truth."""
    for _ in range(3):
        for instance in ("a", "b", "c"):
            sender = Sender(system.collector, instance)
            sender.fact("celery_queue_length", 5, {"queue": "high"})
            sender.fact("users_active", 7, {"plan": "free"})
    check.exact("queue length", 5, _settles_at(system, 5, "celery_queue_length"))
    check.exact("users active", 7, _settles_at(system, 7, "users_active"))
