"""Every way a task can end, counted by real prefork workers: with processes that live long and with recycled ones."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from celery import Task, chain, chord, group

from telemetry import instrument_celery, testing
from telemetry.instrumentation.celery import uninstrument_celery
from tests.telemetry.celery.fleet import TASKS, Broker, Fleet, eventually, running

Counts = dict[str, float]


@dataclass(frozen=True)
class Scenario:
    """Something that happens to a task, and the truth about it."""

    task: str
    publish: Callable[[Fleet], Any]
    truth: Counts
    reason: str | None = None


def times(count: int, task: str, *args: Any, **options: Any) -> Callable[[Fleet], Any]:
    """Publish a task several times."""
    return lambda fleet: [fleet.send(task, *args, **options) for _ in range(count)]


def revoke_waiting(fleet: Fleet) -> None:
    """Revoke a task that waits for its time."""
    result = fleet.send("revoked", countdown=3)
    fleet.publisher.control.revoke(result.id)


def terminate_running(fleet: Fleet) -> None:
    """Terminate a task that runs."""
    identity = str(uuid.uuid4())
    fleet.send("terminated", task_id=identity)
    assert eventually(lambda: fleet.flag(f"started:{identity}"))
    fleet.publisher.control.revoke(identity, terminate=True, signal="SIGKILL")


def canvas(fleet: Fleet) -> None:
    """A group of 3, a chain of 3 and a chord of 3 and its callback: 10 tasks."""
    add = lambda *n: fleet.signature("add", *n)  # noqa: E731
    group([add(i) for i in range(3)], app=fleet.publisher).apply_async()
    chain(add(1), add(2), add(3), app=fleet.publisher).apply_async()
    chord([add(i) for i in range(3)], app=fleet.publisher)(add())


# Celery 5.4 throws the message away instead of giving it out again; then the task has failed.
GIVEN_OUT_AGAIN = {"completed": 1} if hasattr(Task, "acks_on_timeout") else {"failed": 1}
SCENARIOS: list[Scenario] = [
    Scenario("succeed", times(20, "succeed"), {"submitted": 20, "completed": 20}),
    Scenario("fail", times(5, "fail"), {"submitted": 5, "failed": 5}),
    Scenario("retry_in_vain", times(2, "retry_in_vain"), {"submitted": 2, "retried": 4, "failed": 2}),
    Scenario("retry_with_luck", times(2, "retry_with_luck"), {"submitted": 2, "retried": 4, "completed": 2}),
    Scenario("hard_limit", times(2, "hard_limit"), {"submitted": 2, "failed": 2}),
    Scenario("hard_limit_late", times(1, "hard_limit_late"), {"submitted": 1, **GIVEN_OUT_AGAIN}),
    Scenario("soft_limit", times(2, "soft_limit"), {"submitted": 2, "failed": 2}),
    Scenario("soft_limit_handled", times(1, "soft_limit_handled"), {"submitted": 1, "completed": 1}),
    Scenario("killed", times(2, "killed"), {"submitted": 2, "failed": 2}),
    Scenario("killed_late", times(2, "killed_late"), {"submitted": 2, "completed": 2}),
    Scenario("exits", times(1, "exits"), {"submitted": 1, "failed": 1}),
    Scenario("unencodable", times(1, "unencodable"), {"submitted": 1, "failed": 1}),
    Scenario("rejected", times(2, "rejected"), {"submitted": 2, "failed": 2}),
    Scenario("rejected_late", times(1, "rejected_late"), {"submitted": 1, "completed": 1}),
    Scenario("rejected_early", times(1, "rejected_early"), {"submitted": 1, "dropped": 1}, "rejected"),
    Scenario("ignored", times(2, "ignored"), {"submitted": 2, "dropped": 2}, "ignored"),
    Scenario("replaced", times(1, "replaced"), {"submitted": 1, "dropped": 1}, "ignored"),
    Scenario("replacement", times(0, "replacement"), {"submitted": 1, "completed": 1}),
    Scenario("expired", times(2, "expired", expires=-1), {"submitted": 2, "dropped": 2}, "expired"),
    Scenario("revoked", revoke_waiting, {"submitted": 1, "dropped": 1}, "revoked"),
    Scenario("terminated", terminate_running, {"submitted": 1, "dropped": 1}, "terminated"),
    Scenario("later", times(2, "later", countdown=1), {"submitted": 2, "completed": 2}),
    Scenario("spread", times(2, "spread", 5), {"submitted": 2, "completed": 2}),
    Scenario("spread_out", times(0, "spread_out"), {"submitted": 10, "completed": 10}),
    Scenario("publish_and_die", times(2, "publish_and_die", 5), {"submitted": 2, "failed": 2}),
    Scenario("published_by_killed", times(0, "published_by_killed"), {"submitted": 10, "completed": 10}),
    Scenario("add", canvas, {"submitted": 10, "completed": 10}),
    Scenario("measured", times(12, "measured"), {"submitted": 12, "completed": 12}),
    Scenario("own_request", times(2, "own_request"), {"submitted": 2, "completed": 2}),
    Scenario("not_there", times(2, "not_there"), {"submitted": 2, "failed": 2}),
]


@dataclass(frozen=True)
class Storm:
    """A fleet through which every scenario has gone, and what this process itself published."""

    fleet: Fleet
    submitted_here: testing.Captured

    def counted(self, task: str) -> Counts:
        """What was counted of a task, wherever it was counted."""
        name = f"{TASKS}.{task}"
        counts = self.fleet.counted(name)
        here = self.submitted_here.total("celery_tasks_submitted_total", task_name=name)
        return {"submitted": counts.pop("submitted", 0) + here, **counts}


@pytest.fixture(scope="module", params=["steady", "recycled"])
def storm(request: pytest.FixtureRequest, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """All scenarios at once on one worker, whose processes live long or for one task only."""
    options = ("--max-tasks-per-child", "1") if request.param == "recycled" else ()
    with running(broker, tmp_path_factory.mktemp("logs")) as fleet, testing.capture() as captured:
        instrument_celery(fleet.publisher)
        worker = fleet.start_worker(*options)
        for scenario in SCENARIOS:
            scenario.publish(fleet)
        made = Storm(fleet, captured)
        eventually(lambda: all(made.counted(s.task) == s.truth for s in SCENARIOS), 90)
        fleet.end(worker)
        yield made
        uninstrument_celery(fleet.publisher)


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
        labels = {"task_name": f"{TASKS}.{task}", "exception": exception}
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
