"""The same promises on RabbitMQ: outcomes, queue lengths, workers, take-over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.waiting import eventually
from telemetry.instrumentation.celery import broker_amqp
from telemetry.instrumentation.celery.broker_amqp import AmqpBroker
from tests.telemetry.celery.fleet import TASKS, Broker, Fleet, running
from tests.telemetry.celery.rabbit import Rabbit

pytestmark = pytest.mark.brokers


@pytest.fixture(scope="module")
def rabbit() -> Iterator[Rabbit]:
    """A RabbitMQ for these tests."""
    made = Rabbit()
    yield made
    made.stop()


@pytest.fixture(params=["classic", "quorum"])
def fleet(request: pytest.FixtureRequest, rabbit: Rabbit, broker: Broker, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet on RabbitMQ, with a queue of its own."""
    queue = f"{request.param}-{time.monotonic_ns()}"
    conf = {"task_default_queue": queue, "task_default_queue_type": request.param}
    with running(broker, tmp_path, rabbit.url, **conf, worker_detect_quorum_queues=True) as made:
        yield made


def queue_of(fleet: Fleet) -> str:
    """The queue of this test."""
    return str(fleet.conf["task_default_queue"])


def test_queue_length_is_what_is_ready(fleet: Fleet) -> None:
    """A declared queue stands at 0 from the start, also before it exists, and counts what waits in it."""
    fleet.start_publisher()
    assert eventually(lambda: fleet.queue_length(queue_of(fleet)) == 0)
    for _ in range(5):
        fleet.send("succeed")
    assert eventually(lambda: fleet.queue_length(queue_of(fleet)) == 5)


def test_outcomes_are_exact(fleet: Fleet) -> None:
    """Success, failure, retry, a killed process and a redelivery count as they do on Redis."""
    worker = fleet.start_worker()
    truth = {
        "succeed": {"completed": 10},
        "fail": {"failed": 3},
        "retry_with_luck": {"retried": 2, "completed": 1},
        "killed": {"failed": 1},
        "killed_late": {"completed": 1},
        "ignored": {"dropped": 1},
    }
    for task, counts in truth.items():
        for _ in range(int(counts.get("completed", 0) + counts.get("failed", 0) + counts.get("dropped", 0))):
            fleet.send(task)

    def counted() -> dict[str, dict[str, float]]:
        return {task: fleet.counted(f"{TASKS}.{task}") for task in truth}

    assert eventually(lambda: counted() == truth, 60), counted()
    fleet.end(worker)
    assert counted() == truth
    assert fleet.sink.total("celery_tasks_completed_total", queue=queue_of(fleet)) == 12


def test_workers_are_zero_when_gone(fleet: Fleet) -> None:
    """A worker that is stopped or killed stands at 0 within seconds, one that stays at 1."""
    fleet.start_publisher()
    names = ("stops", "dies", "stays")
    workers = {name: fleet.start_worker(name=name, wait=False) for name in names}
    for name in names:
        assert eventually(lambda name=name: fleet.active_workers(hostname=f"{name}@test") == 1, 60)
    fleet.kill(workers["dies"])
    fleet.end(workers["stops"])
    for name in ("stops", "dies"):
        assert eventually(lambda name=name: fleet.active_workers(hostname=f"{name}@test") == 0, 10)
    assert fleet.active_workers(hostname="stays@test") == 1


def test_another_takes_over(fleet: Fleet) -> None:
    """When the reporting process is killed, another reports, and still knows the workers that died before."""
    first = fleet.start_publisher(name="first")
    worker = fleet.start_worker()
    assert eventually(lambda: fleet.active_workers(hostname="w1@test") == 1)
    fleet.start_publisher(name="second")
    fleet.kill(worker)
    assert eventually(lambda: fleet.active_workers(hostname="w1@test") == 0, 10)
    fleet.kill(first)
    fleet.sink.facts.clear()
    assert eventually(lambda: fleet.active_workers(hostname="w1@test") == 0, 10)


def test_memory_is_bounded_and_short(rabbit: Rabbit, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker keeps one announcement for each process, which is forgotten after an hour."""
    with fleet.publisher.connection_for_read() as connection:
        board = AmqpBroker(connection, f"memory-{time.monotonic_ns()}")
        for count in range(5):
            monkeypatch.setattr(broker_amqp, "ANNOUNCE_EVERY", -1.0)
            assert board.attend("w1@test", [f"q{count}"], lease=1)
        assert eventually(lambda: board.attend("w1@test", ["q"], lease=1) and len(board.queue_lengths()) == 1)
        assert board.workers() == {"w1@test": True}
        board.worker_gone("w1@test")
        assert board.workers() == {"w1@test": False}
        monkeypatch.setattr(broker_amqp, "ANNOUNCE_EVERY", 1e9)
        now = time.time()
        monkeypatch.setattr(broker_amqp.time, "time", lambda: now + 3700)
        board.attend("w1@test", ["q"], lease=1)
        assert board.workers() == {}


def test_fingerprint_is_handed_on(fleet: Fleet) -> None:
    """Whichever process reports, also when the one before was killed, the broker has one fingerprint; a namespace has its own."""

    def seen() -> set[str]:
        return {dict(key)["fingerprint"] for name, key in list(fleet.sink.facts) if name == "celery_broker_info"}

    first = fleet.start_publisher(name="first")
    assert eventually(lambda: len(seen()) == 1)
    before = seen()
    second = fleet.start_publisher(name="second")
    assert eventually(lambda: len(fleet.sink.instances) > 1)
    fleet.kill(first)
    fleet.sink.facts.clear()
    assert eventually(lambda: seen() == before)
    fleet.end(second)
    fleet.sink.facts.clear()
    fleet.start_publisher(name="third", OTEL_RESOURCE_ATTRIBUTES="service.namespace=shop")
    assert eventually(lambda: len(seen()) == 1)
    assert seen() != before


ANNOUNCEMENTS = "telemetry.celery.dev.known"
NO_ANNOUNCEMENTS = [
    b"", b"\xff", b"[" * 5_000, b"7", b"[]", b"null", b"{}", b'{"at": 1.0}',
    *(
        json.dumps({"at": time.time(), "worker": None, "queues": [], **wrong}).encode()
        for wrong in (
            {"at": "canary"}, {"at": 1e300}, {"at": float("nan")}, {"at": 10**400}, {"worker": 7}, {"worker": "w" * 250},
            {"worker": "\ud800"}, {"queues": None}, {"queues": "canary"}, {"queues": [7]}, {"queues": ["q" * 256]},
            {"fingerprint": {"canary": 1}},
        )
    ),
]  # fmt: skip


def test_announcements_of_nobody(fleet: Fleet) -> None:
    """What is no announcement of a process is taken away from the queue of announcements, and the queues are read on."""
    fleet.start_publisher()
    assert eventually(lambda: fleet.queue_length(queue_of(fleet)) == 0)
    with fleet.publisher.connection_for_write() as connection:
        assert connection.default_channel.queue_declare(ANNOUNCEMENTS, passive=True).queue == ANNOUNCEMENTS
        for body in NO_ANNOUNCEMENTS:
            message = connection.default_channel.prepare_message(body, content_type="text", content_encoding="binary")
            connection.default_channel.basic_publish(message, exchange="", routing_key=ANNOUNCEMENTS)
    for number in (1, 2):
        fleet.send("succeed")
        assert eventually(lambda number=number: fleet.queue_length(queue_of(fleet)) == number)
    log = fleet.log("publisher").read_text()
    assert "the broker cannot be read" not in log
    assert "canary" not in log + str([*fleet.sink.totals, *fleet.sink.facts])
