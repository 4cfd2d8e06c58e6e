"""What beat publishes is counted in beat, and once, and how late it was: the real scheduler, a real worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.beat import EmbeddedService, Scheduler

from support.waiting import eventually
from telemetry import testing
from telemetry.catalogue.celery import BEAT_LAG
from telemetry.instrumentation.celery.beat import MeasuredSchedule, watch_embedded
from tests.telemetry.celery.fleet import TASKS, Broker, Fleet, running

OFTEN = {"often": {"task": f"{TASKS}.succeed", "schedule": 0.2}}
SENDING = "Sending due task"


@pytest.fixture
def scheduled(broker: Broker, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet with a task that beat publishes five times a second."""
    with running(broker, tmp_path, beat_schedule=OFTEN, beat_max_loop_interval=0.1) as fleet:
        yield fleet


def _said(fleet: Fleet, process: str, words: str) -> int:
    """How often a process has said something in its log."""
    return fleet.log(process).read_text().count(words)


def test_scheduled_tasks_are_submissions(scheduled: Fleet) -> None:
    """Every task that beat published before it was stopped is submitted, timed and completed once."""
    scheduled.start_worker()
    beat = scheduled.start_beat()
    assert eventually(lambda: scheduled.counted(f"{TASKS}.succeed").get("completed", 0) >= 5)
    assert eventually(lambda: scheduled.sink.fact("celery_beat_overdue_seconds") is not None)
    # SIGTERM ends it wherever it is: when all that it has announced has run, it is not in the middle of a publication.
    assert eventually(lambda: _said(scheduled, "beat", SENDING) == _said(scheduled, "w1", "succeeded in"))
    scheduled.end(beat)
    published = _said(scheduled, "beat", SENDING)
    truth = {"submitted": published, "completed": published}
    assert eventually(lambda: scheduled.counted(f"{TASKS}.succeed") == truth), (truth, scheduled.counted("succeed"))
    assert scheduled.sink.total("celery_beat_lag_seconds", task_name=f"{TASKS}.succeed") == published


def test_embedded_beat_is_counted(scheduled: Fleet) -> None:
    """Beat inside a worker (`-B`) counts what it publishes, too, and is not taken for a pool process."""
    worker = scheduled.start_worker("-B", "-s", str(scheduled.schedule_file))
    assert eventually(lambda: scheduled.counted(f"{TASKS}.succeed").get("completed", 0) >= 5)
    scheduled.end(worker)
    assert not list((scheduled.schedule_file.parent / "state").glob("*.box"))
    published = _said(scheduled, "w1", SENDING)
    counted = scheduled.counted(f"{TASKS}.succeed")
    sent = counted["completed"] + scheduled.broker.client.llen("celery")
    # The worker kills its beat: the last task may be announced and not sent, or sent and not counted.
    assert published - 1 <= sent <= published
    assert sent - 1 <= counted["submitted"] <= sent
    assert counted["submitted"] - 1 <= scheduled.sink.total("celery_beat_lag_seconds") <= counted["submitted"]


class _SlowToEnd(Scheduler):
    """Takes a moment to end, as a process does on a busy machine."""

    def __init__(self, *args: Any, schedule_filename: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), os._exit(0)))
        Path(schedule_filename).touch()


def test_embedded_beat_has_ended_before_its_worker(tmp_path: Path) -> None:
    """A worker that has told beat to end goes on when it has: what beat counted last is there to be delivered."""
    schedule = tmp_path / "schedule"
    beat = EmbeddedService(Celery(broker="memory://"), scheduler_cls=_SlowToEnd, schedule_filename=str(schedule))
    for _ in range(2):  # a worker is ready again after each loss of its broker
        watch_embedded(SimpleNamespace(beat=beat))
    beat.start()
    assert eventually(schedule.exists)
    beat.stop()
    assert beat.exitcode == 0


def test_late_publications_are_seen(scheduled: Fleet) -> None:
    """A beat that is held up for two seconds shows a task that was at least a second late."""
    beat = scheduled.start_beat()
    assert eventually(lambda: scheduled.sink.total("celery_beat_lag_seconds") >= 2)
    beat.send_signal(signal.SIGSTOP)
    assert not eventually(lambda: beat.poll() is not None, 2)
    beat.send_signal(signal.SIGCONT)
    late = BEAT_LAG.buckets.index(1.0) + 1

    def lags() -> list[list[int]]:
        return [buckets for (name, _), buckets in list(scheduled.sink.buckets.items()) if "lag" in name]

    assert eventually(lambda: any(sum(buckets[late:]) for buckets in lags()))


def test_stuck_schedule_is_overdue() -> None:
    """A scheduler that does not tick is overdue by the time since its next task was due."""
    app = Celery(broker="memory://")
    app.conf.beat_schedule = OFTEN
    scheduler = Scheduler(app)
    with testing.captured() as captured:
        measured = MeasuredSchedule(scheduler)
        assert captured.value("celery_beat_overdue_seconds") == 0
        scheduler.populate_heap()
        assert eventually(lambda: (captured.value("celery_beat_overdue_seconds") or 0) > 0.5)
        scheduler.tick()
        assert captured.total("celery_beat_lag_seconds", task_name=f"{TASKS}.succeed") == 1
        assert captured.value("celery_beat_overdue_seconds") < 0.5
        measured.close()
        scheduler.apply_async(next(iter(scheduler.schedule.values())))
        assert captured.value("celery_beat_overdue_seconds") is None
        assert captured.total("celery_beat_lag_seconds") == 1
