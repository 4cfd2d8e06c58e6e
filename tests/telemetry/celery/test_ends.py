"""How a worker ends, and what that does to the counts of the tasks it had."""

from __future__ import annotations

import signal

import pytest

from support.waiting import eventually
from tests.telemetry.celery.fleet import TASKS, Broker, Fleet, running

MANY = 30  # tasks of a fifth of a second: more than are done before it is seen that the first ones are


def started(fleet: Fleet) -> str:
    """Start the task that runs for a minute, and wait until it runs."""
    result = fleet.send("terminated")
    assert eventually(lambda: fleet.flag(f"started:{result.id}"))
    return str(result.id)


def test_warm_shutdown_loses_nothing(fleet: Fleet) -> None:
    """A worker told to stop in the middle of its work counts what it finishes; the next one counts the rest."""
    for _ in range(MANY):
        fleet.send("wait")
    first = fleet.start_worker()
    assert eventually(lambda: fleet.counted(f"{TASKS}.wait").get("completed", 0) >= 2)
    fleet.end(first)
    assert 2 <= fleet.counted(f"{TASKS}.wait")["completed"] < MANY
    second = fleet.start_worker(name="w2")
    assert eventually(lambda: fleet.counted(f"{TASKS}.wait") == {"completed": MANY})
    fleet.end(second)
    assert fleet.counted(f"{TASKS}.wait") == {"completed": MANY}


def test_cold_shutdown_drops_what_cannot_return(fleet: Fleet) -> None:
    """A running task that was acknowledged ends as terminated; the one that was not is given out again."""
    worker = fleet.start_worker()
    started(fleet)
    late = fleet.send("wait_late", 9)
    active = fleet.publisher.control.inspect(["w1@test"]).active  # a worker that is busy may not answer in time
    assert eventually(lambda: (active() or {}).get("w1@test", [])[1:])
    held = {"hostname": "w1@test", "state": "active"}
    assert eventually(lambda: fleet.sink.fact("celery_worker_tasks", **held) == 2)
    assert eventually(lambda: fleet.sink.fact("celery_worker_pool_size", hostname="w1@test") == 2)
    assert eventually(lambda: fleet.sink.fact("celery_unacked_messages") == 1)
    worker.send_signal(signal.SIGQUIT)
    worker.wait(60)  # Celery 5.4 gives a process half a minute for a result that nobody reads any more
    assert fleet.counted(f"{TASKS}.terminated") == {"dropped": 1}
    assert fleet.counted(f"{TASKS}.wait_late") == {}
    fleet.start_worker(name="w2")
    late.get(60)
    assert eventually(lambda: fleet.counted(f"{TASKS}.wait_late") == {"completed": 1})


@pytest.mark.slow
def test_killed_worker_leaves_late_tasks(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> None:
    """When a whole worker is killed, its late acknowledged task is run by another and counted once."""
    options = {"visibility_timeout": 4, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
    with running(broker, tmp_path_factory.mktemp("logs"), broker_transport_options=options) as fleet:
        worker = fleet.start_worker()
        fleet.send("wait_late", 3)
        active = fleet.publisher.control.inspect().active
        assert eventually(lambda: (active() or {}).get("w1@test"))
        fleet.kill(worker)
        fleet.start_worker(name="w2")
        assert eventually(lambda: fleet.counted(f"{TASKS}.wait_late") == {"completed": 1}, 60)


def test_end_without_a_broker_is_a_sentence(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A process that ends after its broker says in a sentence that it cannot take its leave, and ends as it would."""
    broker = Broker(tmp_path_factory.mktemp("redis"))
    with running(broker, tmp_path_factory.mktemp("logs")) as fleet:
        publisher = fleet.start_publisher(OTEL_METRIC_EXPORT_INTERVAL="4000")
        assert eventually(lambda: fleet.broker.client.keys("*telemetry:celery:*lease"))
        broker.stop()
        assert fleet.end(publisher) == 0
        said = fleet.log("publisher").read_text()
        assert "the broker cannot be" in said
        assert "Traceback" not in said
