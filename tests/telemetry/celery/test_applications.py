"""Several applications in one process, however they are handed over, instrumented early or late, and gone when dropped."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, current_app, signals

from support.waiting import eventually
from telemetry import instrument_celery, process, testing
from telemetry.domains.celery_broker import BrokerReading
from telemetry.instrumentation.celery.polling import BrokerPoller
from tests.telemetry.celery.fleet import Broker

RECEIVED = (signals.before_task_publish, signals.worker_init, signals.heartbeat_sent, signals.task_unknown)


def _receivers() -> int:
    return sum(len(signal._live_receivers(None)) for signal in RECEIVED)


def _poll_threads() -> int:
    return sum(thread.name == "telemetry-celery" for thread in threading.enumerate())


def test_dropped_applications_leave_nothing(captured: testing.Captured, broker: Broker) -> None:
    """Sixty applications that published, were watched, closed and dropped leave no object, no thread, no receiver."""
    gc.collect()
    receivers, threads = _receivers(), _poll_threads()
    living: list[weakref.ref[Celery]] = []
    pollers: list[weakref.ref[BrokerPoller]] = []
    for _ in range(60):
        app = Celery("tenant", broker=broker.url, set_as_current=False)
        instrument_celery(app)
        app.send_task("t")
        captured.telemetry.observe()
        hooks = vars(app)["telemetry_hooks"]
        living.append(weakref.ref(app))
        pollers.append(weakref.ref(hooks._poller))
        app.close()
        del app, hooks
    assert captured.total("celery_tasks_submitted_total") == 60

    def left() -> tuple[int, int, int, int]:
        gc.collect()
        alive = sum(ref() is not None for ref in living), sum(ref() is not None for ref in pollers)
        return (*alive, _receivers() - receivers, _poll_threads() - threads)

    assert eventually(lambda: left() == (0, 0, 0, 0)), left()


def test_proxy_stands_for_its_application(captured: testing.Captured, broker: Broker) -> None:
    """``celery.current_app`` is a proxy; what it stands for is instrumented, once."""
    app = Celery("current", broker=broker.url)
    app.set_current()
    instrument_celery(current_app)
    instrument_celery(app)
    app.send_task("t")
    assert captured.total("celery_tasks_submitted_total") == 1
    instrument_celery(current_app).close()
    app.send_task("t")
    assert captured.total("celery_tasks_submitted_total") == 1


def test_own_ways_to_publish_stay(captured: testing.Captured, broker: Broker) -> None:
    """What an application, or another tool, has put in place of ``send_task`` is called, and is there afterwards."""
    app = Celery("own", broker=broker.url, set_as_current=False)
    calls: list[str] = []

    def own(*args: Any, **kwargs: Any) -> Any:
        calls.append("own")
        return Celery.send_task(app, *args, **kwargs)

    app.send_task = own  # type: ignore[method-assign]
    handle = instrument_celery(app)
    app.send_task("t")
    assert (calls, captured.total("celery_tasks_submitted_total")) == (["own"], 1)
    ours = app.send_task

    def above(*args: Any, **kwargs: Any) -> Any:
        calls.append("above")
        return ours(*args, **kwargs)

    app.send_task = above  # type: ignore[method-assign]
    handle.close()
    assert app.send_task is above
    app.send_task("t")
    assert calls == ["own", "above", "own"]
    assert captured.total("celery_tasks_submitted_total") == 1
    app.send_task = own  # type: ignore[method-assign]
    with instrument_celery(app):
        assert app.send_task is not own
    assert app.send_task is own


def _nothing() -> None:
    """A task."""


@pytest.fixture
def early(broker: Broker) -> Iterator[Celery]:
    """An application that is instrumented before anything is configured."""
    assert process.current.configured is None
    app = Celery("early", broker=broker.url, set_as_current=False)
    instrument_celery(app)
    yield app
    instrument_celery(app).close()


def test_instrumented_before_configured(early: Celery) -> None:
    """What is configured later counts all the same, with the zeros of the tasks that the application has."""
    early.task(name="known")(_nothing)
    with testing.captured() as captured:
        early.send_task("known")
        assert captured.total("celery_tasks_submitted_total", task_name="known") == 1
    with testing.captured() as captured:
        early.send_task("other")
        declared = captured.series("celery_tasks_submitted_total", zeros=True)
        assert [value for labels, value in declared.items() if dict(labels)["task_name"] == "known"] == [0]


@pytest.fixture
def second_broker(tmp_path: Path) -> Iterator[Broker]:
    """Another Redis."""
    made = Broker(tmp_path)
    yield made
    made.stop()


def test_two_brokers_of_one_process(captured: testing.Captured, broker: Broker, second_broker: Broker) -> None:
    """Two applications of one process on two brokers: the queues of both are there, and stay when one is closed."""
    lengths = {"first": 2, "second": 3}
    with ExitStack() as stack:
        for (name, waiting), on in zip(lengths.items(), (broker, second_broker), strict=True):
            on.client.flushall()
            app = Celery(name, broker=on.url, set_as_current=False)
            app.conf.update(task_default_queue=name)
            stack.enter_context(instrument_celery(app))
            for _ in range(waiting):
                app.send_task("t")

        def shown() -> dict[str, float]:
            captured.telemetry.observe()
            return {dict(labels)["queue"]: length for labels, length in captured.series("celery_queue_length").items()}

        assert eventually(lambda: shown() == lengths, 15), shown()
        assert eventually(lambda: len(captured.series("celery_broker_info")) == 2)
        second_broker.stop()
        assert eventually(lambda: shown() == {"first": 2}, 15), shown()


def test_readings_of_several_brokers(captured: testing.Captured) -> None:
    """Queues of one name add up, a worker that one broker knows alive is, and what only one knew goes with it."""
    recorder = captured.telemetry.celery.broker
    one, other = _Reader(), _Reader()
    recorder.observe(one, BrokerReading({"w1": True, "w2": False}, {"q": 1, "a": 5}, unacked=2, oldest={"q": 9.0}))
    recorder.observe(other, BrokerReading({"w1": False, "w3": True}, {"q": 3}, unacked=1, oldest={"q": 4.0}))
    assert captured.value("celery_queue_length", queue="q") == 4
    assert captured.value("celery_queue_oldest_seconds", queue="q") == 9
    assert captured.value("celery_unacked_messages") == 3
    assert [captured.value("celery_active_workers", hostname=f"w{n}") for n in (1, 2, 3)] == [1, 0, 1]
    recorder.forget(one)
    assert captured.value("celery_queue_length", queue="a") is None
    assert captured.value("celery_queue_length", queue="q") == 3
    recorder.forget(other)
    assert captured.series("celery_queue_length", zeros=True) == {}


class _Reader:
    """Stands for a poller."""
