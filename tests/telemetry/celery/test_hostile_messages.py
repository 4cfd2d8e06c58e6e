"""Whoever reaches the broker writes what he likes: waits stay waits, queues are read, nothing of it fails."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from celery import Celery

from support.waiting import eventually
from telemetry.instrumentation.celery.publishing_date import HEADER, published_at
from telemetry.instrumentation.celery.queues import QueueNames
from tests.telemetry.celery.fleet import TASKS, Broker, Fleet

NO_DATES = [
    None, True, "", "canary", "1e400", [], {}, -1, 0, 1e300, -1e300, float("inf"), -float("inf"), float("nan"), 10**400,
    -(10**400), 4_000_000_000.0,
]  # fmt: skip
NO_MESSAGES = [
    b"\xff", b"[" * 5_000, b'{"headers": []}', b'{"headers": null}',
    *(json.dumps({"headers": {HEADER: said}}).encode() for said in (10**400, float("nan"), "canary")),
]  # fmt: skip


@pytest.mark.parametrize("said", NO_DATES, ids=lambda said: str(said)[:20])
def test_what_is_no_date(said: Any) -> None:
    """Only a number that a clock of this library's time can have shown is a date."""
    assert published_at({HEADER: said}) is None


def test_dates() -> None:
    """What was published just now, a month ago, or by a clock that is an hour ahead."""
    for seconds in (0, -30 * 86_400, 3_600):
        assert published_at({HEADER: time.time() + seconds}) == pytest.approx(time.time() + seconds, abs=1)


def test_waits_stay_waits(fleet: Fleet) -> None:
    """Tasks with impossible dates run and are counted; of waiting nothing is known but from the honest one."""
    fleet.start_worker()
    for said in NO_DATES:
        fleet.publisher.send_task(f"{TASKS}.succeed", headers={HEADER: said}).get(timeout=30)
    fleet.publisher.send_task(f"{TASKS}.succeed", headers={HEADER: time.time()}).get(timeout=30)
    task = {"task_name": f"{TASKS}.succeed"}
    assert eventually(lambda: fleet.sink.total("celery_tasks_completed_total", **task) == len(NO_DATES) + 1)
    assert fleet.sink.total("celery_task_wait_seconds", **task) == 1
    assert fleet.sink.total("errors_total", component="telemetry") == 0
    assert "canary" not in "".join(line for line in fleet.log("w1").read_text().splitlines() if "telemetry" in line)


@pytest.mark.parametrize("exchange", ["", "canary", None, 7], ids=str)
@pytest.mark.parametrize("key", ["canary", {"canary": 1}, ["canary"], 7, None], ids=str)
def test_queues_are_the_workers(broker: Broker, exchange: Any, key: Any) -> None:
    """A queue that only a message names is no label."""
    app = Celery(broker=broker.url, set_as_current=False)
    assert QueueNames(app).received_from({"exchange": exchange, "routing_key": key}) == "unknown"


def test_message_that_lies_about_its_queue(fleet: Fleet) -> None:
    """It runs and counts as from `unknown`, however many there are; one of the worker's own queues keeps its name."""
    for number in range(5):
        fleet.send("succeed")
        message = json.loads(fleet.broker.client.lpop("celery"))
        message["properties"]["delivery_info"] = {"exchange": "", "routing_key": f"canary{number}"}
        fleet.broker.client.rpush("celery", json.dumps(message))
    fleet.send("succeed")
    fleet.start_worker()
    for queue, tasks in (("unknown", 5), ("celery", 1)):
        wanted = {"task_name": f"{TASKS}.succeed", "queue": queue}
        assert eventually(
            lambda wanted=wanted, tasks=tasks: fleet.sink.total("celery_tasks_completed_total", **wanted) == tasks
        )
    assert "canary" not in str([*fleet.sink.totals, *fleet.sink.facts])


def test_queues_are_read(fleet: Fleet) -> None:
    """Whatever lies at the head of a queue, its length is known, and how long its head waits where that says so."""
    fleet.start_publisher()
    assert eventually(lambda: fleet.queue_length("celery") == 0)
    for number, message in enumerate(NO_MESSAGES, 1):
        fleet.broker.client.rpush("celery", message)
        assert eventually(lambda number=number: fleet.queue_length("celery") == number)
    fleet.broker.client.zadd(next(fleet.broker.client.scan_iter("*:queues")), {b"\xff": time.time()})
    fleet.broker.client.rpush("celery", json.dumps({"headers": {HEADER: time.time() - 100}}))
    assert eventually(lambda: 100 <= (fleet.sink.fact("celery_queue_oldest_seconds", queue="celery") or 0) < 200)
    assert "the broker cannot be read" not in fleet.log("publisher").read_text()
