"""Queue lengths as the broker has them, reported by one process of the fleet at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.waiting import eventually
from telemetry import instrument_celery
from tests.telemetry.celery.fleet import Broker, Fleet, Process, running

PRIORITIES = (0, 1, 3, 4, 6, 9)


@pytest.mark.parametrize(
    "transport_options",
    [
        {},
        {"priority_steps": list(range(10)), "sep": ":", "queue_order_strategy": "priority"},
        {"global_keyprefix": "own:"},
    ],
    ids=["default", "own steps and separator", "key prefix"],
)
def test_all_priorities_add_up(broker: Broker, tmp_path: Path, transport_options: dict[str, Any]) -> None:
    """A queue's length is the sum over its sub-queues; a declared queue that is empty stands at 0."""
    options = {"broker_transport_options": transport_options}
    with running(broker, tmp_path, **options) as fleet, instrument_celery(fleet.publisher):
        fleet.start_publisher()
        assert eventually(lambda: fleet.queue_length("celery") == 0)
        for priority in PRIORITIES:
            fleet.send("succeed", priority=priority)
        assert eventually(lambda: fleet.queue_length("celery") == len(PRIORITIES))
        assert eventually(lambda: (fleet.sink.fact("celery_queue_oldest_seconds", queue="celery") or 0) > 1)


def test_worker_names_its_queues(fleet: Fleet) -> None:
    """A queue that only a worker knows is present from its start, also where a publisher reports."""
    fleet.start_publisher()
    assert eventually(lambda: fleet.queue_length("celery") == 0)
    fleet.start_worker("-Q", "celery,extra")
    assert eventually(lambda: fleet.queue_length("extra") == 0)


def test_queues_that_are_consumed(fleet: Fleet) -> None:
    """Each node that takes tasks from a queue counts once for it, until it is told to stop or ends."""
    worker = fleet.start_worker("-Q", "celery,extra")
    fleet.start_worker("-Q", "celery", name="w2")

    def consumers(queue: str) -> float:
        wanted = "celery_queue_consumers", frozenset({("queue", queue)})
        return sum(value for (_, series), value in dict(fleet.sink.levels).items() if series == wanted)

    assert eventually(lambda: (consumers("celery"), consumers("extra")) == (2, 1))
    fleet.publisher.control.cancel_consumer("extra", destination=["w1@test"])
    assert eventually(lambda: (consumers("celery"), consumers("extra")) == (2, 0))
    fleet.publisher.control.add_consumer("extra", destination=["w2@test"])
    assert eventually(lambda: (consumers("celery"), consumers("extra")) == (2, 1))
    fleet.end(worker)
    assert eventually(lambda: (consumers("celery"), consumers("extra")) == (1, 1))


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis that a test may stop."""
    made = Broker(tmp_path_factory.mktemp("redis"))
    yield made
    made.stop()


def test_unreachable_broker_is_unknown(own_broker: Broker, tmp_path: Path) -> None:
    """Without a broker there is no length and no worker, which is not 0, and errors are counted; then it comes back."""
    with running(own_broker, tmp_path) as fleet:
        fleet.start_publisher()
        assert eventually(lambda: fleet.queue_length("celery") == 0)
        errors = fleet.sink.total("errors_total", component="celery")
        own_broker.stop()
        assert eventually(lambda: fleet.queue_length("celery") is None)
        assert eventually(lambda: fleet.sink.total("errors_total", component="celery") > errors)
        assert "the broker cannot be read" in fleet.log("publisher").read_text()
        own_broker.start()
        assert eventually(lambda: fleet.queue_length("celery") == 0)


def test_one_reports_and_another_takes_over(fleet: Fleet) -> None:
    """Of several processes one reads the queues; when it is killed, another does so within seconds."""
    publishers = [fleet.start_publisher(name=f"publisher{i}") for i in range(2)]
    assert eventually(lambda: fleet.queue_length("celery") == 0)

    def leader() -> bytes:
        (key,) = fleet.broker.client.keys("*telemetry:celery:*lease") or [b""]
        return fleet.broker.client.get(key) or b""

    def leading() -> list[Process]:
        return [publisher for publisher in publishers if f"-{publisher.pid}-" in leader().decode()]

    (first,) = eventually(leading)
    fleet.kill(first)
    (other,) = [publisher for publisher in publishers if publisher is not first]
    assert eventually(lambda: leading() == [other], 15)
    fleet.send("succeed")
    assert eventually(lambda: fleet.queue_length("celery") == 1, 15)


@pytest.mark.slow
def test_reading_costs_the_same_for_many(fleet: Fleet) -> None:
    """Queues are read by the elected process alone: three processes ask for no more lengths than one."""

    def lengths_asked() -> int:
        return int(fleet.broker.client.info("commandstats").get("cmdstat_llen", {}).get("calls", 0))

    def asked_within_seconds(seconds: float) -> int:
        first = lengths_asked()
        eventually(lambda: False, seconds)
        return lengths_asked() - first

    fleet.start_publisher(name="one")
    assert eventually(lambda: fleet.queue_length("celery") == 0)
    alone = asked_within_seconds(5)
    for name in ("two", "three"):
        fleet.start_publisher(name=name)
    assert eventually(lambda: len(fleet.sink.instances) == 3)
    assert 0 < asked_within_seconds(5) <= 1.8 * alone
