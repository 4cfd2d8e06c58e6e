"""Every way a task can end, counted by real prefork workers: with processes that live long and with recycled ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import celery
import pytest

from docs.celery.page import happenings
from support.waiting import eventually
from telemetry import instrument_celery, testing
from tests.telemetry.celery.fleet import TASKS, Broker, Fleet, running
from tests.telemetry.celery.scenarios import SCENARIOS, Counts, Scenario

OPTIONS = {
    "steady": (),
    "recycled": ("--max-tasks-per-child", "1"),
    "grown": ("--max-memory-per-child", "1"),
}


@dataclass(frozen=True)
class Storm:
    """A fleet through which every scenario has gone, and what this process itself published."""

    fleet: Fleet
    submitted_here: testing.Captured

    def counted(self, task: str) -> Counts:
        """What was counted of a task, wherever it was counted."""
        name = f"{TASKS}.{task}"
        counts = self.fleet.counted(_ends_as(task) or name)
        here = self.submitted_here.total("celery_tasks_submitted_total", task_name=name)
        return {"submitted": counts.pop("submitted", 0) + here, **counts}


def _ends_as(task: str) -> str | None:
    return next(scenario.ends_as for scenario in SCENARIOS if scenario.task == task)


def keep(processes: str, storm: Storm) -> None:
    """Write down what was counted, for the table in `docs/celery.md` (`make celery-page`)."""
    if directory := os.environ.get("CELERY_ROWS"):
        rows = {scenario.task: storm.counted(scenario.task) for scenario in SCENARIOS}
        Path(directory, f"{processes}.json").write_text(json.dumps(rows, indent=1) + "\n")
        truth = [asdict(scenario.happening) for scenario in SCENARIOS]
        Path(directory, "scenarios.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n")


@pytest.fixture(scope="module", params=list(OPTIONS))
def storm(request: pytest.FixtureRequest, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """All scenarios at once on one worker, whose processes live long, for one task, or until they have grown."""
    with running(broker, tmp_path_factory.mktemp("logs")) as fleet, testing.captured() as captured:
        instrument_celery(fleet.publisher)
        worker = fleet.start_worker(*OPTIONS[request.param])
        for scenario in SCENARIOS:
            scenario.publish(fleet)
        made = Storm(fleet, captured)
        eventually(lambda: all(made.counted(s.task) == s.truth for s in SCENARIOS), 90)
        fleet.end(worker)
        keep(str(request.param), made)
        yield made
        instrument_celery(fleet.publisher).close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.task)
def test_every_end_is_counted_once(storm: Storm, scenario: Scenario) -> None:
    """What happened to a task is what was counted, no more and no less, also after the worker has ended."""
    assert storm.counted(scenario.task) == scenario.truth
    if scenario.reason is not None:
        dropped = {"task_name": f"{TASKS}.{scenario.task}", "reason": scenario.reason}
        assert storm.fleet.sink.total("celery_tasks_dropped_total", **dropped) == scenario.truth["dropped"]


def test_every_submission_has_one_end(storm: Storm) -> None:
    """Over everything: submitted = completed + failed + dropped when nothing is in flight."""
    counts = [storm.counted(scenario.task) for scenario in SCENARIOS]
    total = {kind: sum(c.get(kind, 0) for c in counts) for kind in ("submitted", "completed", "failed", "dropped")}
    assert total["submitted"] == total["completed"] + total["failed"] + total["dropped"] > 80


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.task)
def test_completed_and_failed_are_timed(storm: Storm, scenario: Scenario) -> None:
    """Each task that ran and ended, well or badly, has one duration; nothing else has one."""
    ran = scenario.truth.get("completed", 0) + scenario.truth.get("failed", 0) if scenario.task != "not_there" else 0
    timed = storm.fleet.sink.total("celery_task_duration_seconds", task_name=f"{TASKS}.{scenario.task}")
    assert timed == ran


def test_failures_are_counted_by_exception(storm: Storm) -> None:
    """Each failed task has its exception's class, that of a time limit or of a lost process included."""
    by_class = {"ValueError": "fail", "KeyError": "retry_in_vain", "TimeLimitExceeded": "hard_limit"}
    by_class |= {"SoftTimeLimitExceeded": "soft_limit", "WorkerLostError": "killed", "NotRegistered": "not_there"}
    for exception, task in by_class.items():
        labels = {"task_name": _ends_as(task) or f"{TASKS}.{task}", "exception": exception}
        assert storm.fleet.sink.total("celery_task_exceptions_total", **labels) == storm.counted(task)["failed"], task
    failed = storm.fleet.sink.total("celery_tasks_failed_total")
    assert storm.fleet.sink.total("celery_task_exceptions_total") == failed


def test_runs_are_timed_by_outcome(storm: Storm) -> None:
    """Every run that a pool process began has one runtime, under what became of it."""
    truth = {
        ("succeed", "completed"): 20,
        ("fail", "failed"): 5,
        ("ignored", "dropped"): 2,
        ("terminated", "dropped"): 1,
    }
    truth |= {("retry_in_vain", "retried"): 4, ("retry_in_vain", "failed"): 2, ("hard_limit", "failed"): 2}
    for (task, outcome), count in truth.items():
        labels = {"task_name": f"{TASKS}.{task}", "outcome": outcome}
        assert storm.fleet.sink.total("celery_task_runtime_seconds", **labels) == count, labels
    assert storm.fleet.sink.total("celery_task_runtime_seconds", task_name=f"{TASKS}.expired") == 0


def test_waits_are_timed_without_eta(storm: Storm) -> None:
    """A task that was not ready waited for nothing; each first delivery has one wait."""
    assert storm.fleet.sink.total("celery_task_wait_seconds", task_name=f"{TASKS}.succeed") == 20
    assert storm.fleet.sink.total("celery_task_wait_seconds", task_name=f"{TASKS}.later") == 2


@pytest.mark.parametrize("metric", ["llm_cache_hits_total", "llm_request_duration_seconds"])
def test_measured_inside_tasks_arrives(storm: Storm, metric: str) -> None:
    """Counters and histograms of a task arrive exactly, also where a process ends before its first export."""
    assert storm.fleet.sink.total(metric, model="inside") == 12


def test_last_worker_reports_its_own_end(storm: Storm) -> None:
    """A worker that was alone says 0 of itself with its last export."""
    assert storm.fleet.sink.fact("celery_active_workers", seconds=600, hostname="w1@test") == 0


def test_worker_reports_no_failure_of_ours(storm: Storm) -> None:
    """No exception of telemetry was swallowed, and none reached the pool."""
    assert storm.fleet.sink.total("errors_total", component="telemetry") == 0
    log = storm.fleet.log("w1").read_text()
    assert "telemetry failed" not in log
    assert "Pool callback raised" not in log


@pytest.mark.skipif(celery.VERSION[:2] < (5, 5), reason="the page is about Celery from 5.5: one end differs before")
def test_page_shows_these_scenarios() -> None:
    """The truth that the table of `docs/celery.md` names is that of these scenarios."""
    assert happenings() == [scenario.happening for scenario in SCENARIOS]
