"""Which worker nodes live: 1 while they do, 0 when they are gone, however they went."""

from __future__ import annotations

import time

import pytest

from support.waiting import eventually
from telemetry.instrumentation.celery import broker_redis
from telemetry.instrumentation.celery.broker_redis import RedisBroker
from tests.telemetry.celery.fleet import Fleet

WORKERS = ("w1", "w2")


def test_stopped_worker_is_zero_at_once(fleet: Fleet) -> None:
    """A worker that ends normally is reported as 0 by the others within seconds, one that stays as 1."""
    fleet.start_publisher()
    workers = {name: fleet.start_worker(name=name, wait=False) for name in WORKERS}
    for name in WORKERS:
        assert eventually(lambda name=name: fleet.active_workers(hostname=f"{name}@test") == 1, 80)
    fleet.end(workers["w1"])
    assert eventually(lambda: fleet.active_workers(hostname="w1@test") == 0, 10)
    assert eventually(lambda: fleet.active_workers(hostname="w2@test") == 1)


def test_killed_fleet_sums_to_zero(fleet: Fleet) -> None:
    """When all workers are killed at once, what still lives says 0 for each of them within about 20 seconds."""
    fleet.start_publisher()
    workers = [fleet.start_worker(name=name, wait=False) for name in WORKERS]
    for name in WORKERS:
        assert eventually(lambda name=name: fleet.active_workers(hostname=f"{name}@test") == 1, 80)
    for worker in workers:
        fleet.kill(worker)
    assert eventually(lambda: all(fleet.active_workers(hostname=f"{name}@test") == 0 for name in WORKERS), 30)


@pytest.mark.slow
def test_worker_without_heartbeat_lives(fleet: Fleet) -> None:
    """A worker that sends no events and no heartbeats of Celery's is alive all the same, also beyond their length."""
    fleet.start_worker("--without-heartbeat", "--without-gossip", "--without-mingle")
    assert eventually(lambda: fleet.active_workers(hostname="w1@test") == 1)
    expiry = time.monotonic() + broker_redis.WORKER_FRESH + 1
    assert not eventually(lambda: fleet.active_workers(hostname="w1@test") != 1, expiry - time.monotonic())


def test_dead_worker_is_forgotten(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is gone stays at 0 for an hour and is forgotten then."""
    with fleet.publisher.connection_for_read() as connection:
        board = RedisBroker(connection.default_channel, "test", "me")
        board.attend("w1@test", ["celery"], lease=1)
        board.worker_gone("w1@test")
        assert board.workers() == {"w1@test": False}
        now = time.time()
        monkeypatch.setattr(broker_redis.time, "time", lambda: now + 3599)
        assert board.workers() == {"w1@test": False}
        monkeypatch.setattr(broker_redis.time, "time", lambda: now + 3601)
        assert board.workers() == {}
        assert board.queue_lengths() == {}
