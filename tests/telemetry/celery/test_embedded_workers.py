"""Workers that no command line starts: Celery's test worker, pytest's fixture of it, a plain ``WorkController``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import celery
import pytest
from celery import Celery
from celery._state import _set_task_join_will_block
from celery.contrib.testing.worker import start_worker
from celery.result import allow_join_result
from celery.worker import WorkController

from support.waiting import eventually
from telemetry import instrument_celery, testing
from tests.telemetry.celery.fleet import Broker

TASK = "embedded.double"


def _double(number: int) -> int:
    return 2 * number


def _fail() -> None:
    raise ZeroDivisionError


@pytest.fixture
def app(broker: Broker) -> Iterator[Celery]:
    """An instrumented application with two tasks."""
    broker.client.flushall()
    made = Celery("embedded", broker=broker.url, backend=broker.url, set_as_current=False)
    made.task(name=TASK)(_double)
    made.task(name="embedded.fail")(_fail)
    instrument_celery(made)
    level, handlers = logging.root.level, logging.root.handlers[:]
    yield made
    logging.root.handlers[:] = handlers  # a worker takes over the logging of its process
    logging.root.setLevel(level)
    instrument_celery(made).close()


@contextmanager
def _controller(app: Celery) -> Iterator[None]:
    worker: Any = app.WorkController(pool="solo", hostname="embedded@test", without_gossip=True, without_mingle=True)
    thread = threading.Thread(target=worker.start, daemon=True)
    thread.start()
    try:
        with allow_join_result():
            yield
    finally:
        worker.should_stop = True
        worker.stop()
        thread.join(20)
        _set_task_join_will_block(False)  # the solo pool says so for its process, and nobody takes it back


def _test_worker(app: Celery) -> AbstractContextManager[object]:
    return start_worker(app, perform_ping_check=False, pool="solo")


def active(captured: testing.Captured) -> set[float]:
    """Which worker nodes are said to be alive (1) or not (0)."""
    return set(captured.series("celery_active_workers", zeros=True).values())


def test_closed_handle_stops_a_running_worker(captured: testing.Captured, app: Celery) -> None:
    """Once the handle is closed neither submissions nor outcomes count, and tasks run as before; opened anew, both do."""
    double = app.tasks[TASK]
    with instrument_celery(app) as handle, _test_worker(app):
        assert double.delay(1).get(timeout=20) == 2
        assert instrument_celery(app) is handle
        assert eventually(lambda: captured.total("celery_tasks_completed_total") == 1)
        handle.close()
        assert handle.is_closed
        assert double.delay(2).get(timeout=20) == 4
    with instrument_celery(app), _test_worker(app):
        assert double.delay(3).get(timeout=20) == 6
        assert eventually(lambda: captured.total("celery_tasks_completed_total") == 2)
    assert captured.total("celery_tasks_submitted_total") == 2


@pytest.mark.skipif(celery.VERSION[:2] < (5, 5), reason="Celery 5.4 gives every worker of a test the same name")
def test_ended_worker_is_read_no_more(captured: testing.Captured, app: Celery) -> None:
    """A worker that somebody still holds on to after its end adds nothing to what the next one of the process says."""
    kept = []
    for name in ("first@test", "second@test"):
        with start_worker(app, perform_ping_check=False, pool="solo", hostname=name) as worker:
            kept.append(worker)
            assert app.tasks[TASK].delay(1).get(timeout=20) == 2
            sizes = captured.series("celery_worker_pool_size", zeros=True)
            assert {dict(labels)["hostname"]: size for labels, size in sizes.items()} == {name: 1}


@pytest.mark.parametrize("running", [_test_worker, _controller])
def test_outcomes_of_embedded_workers(
    captured: testing.Captured, app: Celery, running: Callable[[Celery], AbstractContextManager[object]]
) -> None:
    """Submissions, outcomes, durations and the pool's size are counted, whatever makes the worker."""
    assert issubclass(app.WorkController, WorkController)
    with running(app):
        double = app.tasks[TASK]
        assert [double.delay(number).get(timeout=20) for number in range(3)] == [0, 2, 4]
        with pytest.raises(ZeroDivisionError):
            app.tasks["embedded.fail"].delay().get(timeout=20)
        assert eventually(lambda: captured.total("celery_tasks_failed_total", task_name="embedded.fail") == 1)
        assert captured.total("celery_worker_pool_size") == 1
        assert eventually(lambda: active(captured) == {1})
    assert captured.total("celery_worker_pool_size") == 0
    assert eventually(lambda: active(captured) == {0})
    assert captured.total("celery_tasks_submitted_total", task_name=TASK) == 3
    assert captured.total("celery_tasks_completed_total", task_name=TASK) == 3
    assert captured.total("celery_task_duration_seconds", task_name=TASK) == 3
