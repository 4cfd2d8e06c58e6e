"""Several applications in one process, however they are handed over, instrumented early or late, and gone when dropped."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, current_app, signals

from support.waiting import eventually
from telemetry import instrument_celery, process, testing
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
