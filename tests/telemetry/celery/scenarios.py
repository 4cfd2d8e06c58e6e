"""Every way a task can end, what is true of it then and where it is counted; the tests are in ``test_outcomes.py``."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import celery
from celery import chain, chord, group

from docs.celery.page import Counts, Happening
from support.waiting import eventually
from tests.telemetry.celery.fleet import Fleet


@dataclass(frozen=True)
class Scenario:
    """Something that happens to a task, and the truth about it.

    Attributes:
        task: The task it happens to.
        event: What happens, in words.
        where: Which process counts it, and on what occasion; submissions are counted where they are published.
        publish: Makes it happen.
        truth: How often it was submitted, completed, failed, retried or dropped.
        reason: Why it was dropped.
        ends_as: The name that its end is counted under, where that is not the task's.
    """

    task: str
    event: str
    where: str
    publish: Callable[[Fleet], Any]
    truth: Counts
    reason: str | None = None
    ends_as: str | None = None

    @property
    def happening(self) -> Happening:
        """For the table in `docs/celery.md`."""
        return Happening(self.task, self.event, self.where, self.truth, self.reason)


def times(count: int, task: str, *args: Any, **options: Any) -> Callable[[Fleet], Any]:
    """Publish a task several times."""
    return lambda fleet: [fleet.send(task, *args, **options) for _ in range(count)]


def revoke_waiting(fleet: Fleet) -> None:
    """Revoke a task that waits for its time."""
    result = fleet.send("revoked", countdown=8)  # a worker that has much to do hears of it late
    fleet.publisher.control.revoke(result.id)


def terminate_running(fleet: Fleet) -> None:
    """Terminate a task that runs."""
    identity = str(uuid.uuid4())
    fleet.send("terminated", task_id=identity)
    assert eventually(lambda: fleet.flag(f"started:{identity}"))
    fleet.publisher.control.revoke(identity, terminate=True, signal="SIGKILL")  # what runs a task listens to commands


def canvas(fleet: Fleet) -> None:
    """A group of 3, a chain of 3 and a chord of 3 and its callback: 10 tasks."""
    add = lambda *n: fleet.signature("add", *n)  # noqa: E731
    group([add(i) for i in range(3)], app=fleet.publisher).apply_async()
    chain(add(1), add(2), add(3), app=fleet.publisher).apply_async()
    chord([add(i) for i in range(3)], app=fleet.publisher)(add())


# Celery 5.4 throws the message away instead of giving it out again; then the task has failed.
GIVEN_OUT_AGAIN = {"completed": 1} if celery.VERSION[:2] >= (5, 5) else {"failed": 1}
SCENARIOS: list[Scenario] = [
    Scenario(
        "succeed",
        "The task ends well",
        "main process, when the pool hands over the result",
        times(20, "succeed"),
        {"submitted": 20, "completed": 20},
    ),
    Scenario(
        "fail",
        "The task raises",
        "main process, when the pool hands over the exception",
        times(5, "fail"),
        {"submitted": 5, "failed": 5},
    ),
    Scenario(
        "retry_in_vain",
        "It asks for two retries and then raises",
        "main process, each attempt; a retry is no submission",
        times(2, "retry_in_vain"),
        {"submitted": 2, "retried": 4, "failed": 2},
    ),
    Scenario(
        "retry_with_luck",
        "It is retried twice by `autoretry_for` and ends well",
        "main process, each attempt",
        times(2, "retry_with_luck"),
        {"submitted": 2, "retried": 4, "completed": 2},
    ),
    Scenario(
        "hard_limit",
        "It runs into its hard time limit; its process is killed",
        "main process, when the limit passes",
        times(2, "hard_limit"),
        {"submitted": 2, "failed": 2},
    ),
    Scenario(
        "hard_limit_late",
        "The same, acknowledged late: given out again, then it ends well",
        "main process, the last run alone",
        times(1, "hard_limit_late"),
        {"submitted": 1, **GIVEN_OUT_AGAIN},
    ),
    Scenario(
        "soft_limit",
        "It runs into its soft time limit and raises",
        "main process, the exception",
        times(2, "soft_limit"),
        {"submitted": 2, "failed": 2},
    ),
    Scenario(
        "soft_limit_handled",
        "It runs into its soft time limit and returns",
        "main process, the result",
        times(1, "soft_limit_handled"),
        {"submitted": 1, "completed": 1},
    ),
    Scenario(
        "killed",
        "Its process is killed (SIGKILL, as by the OOM killer)",
        "main process, when it misses the process",
        times(2, "killed"),
        {"submitted": 2, "failed": 2},
    ),
    Scenario(
        "killed_late",
        "The same with `acks_late` and `reject_on_worker_lost`: it runs again and ends well",
        "main process, the last run alone",
        times(2, "killed_late"),
        {"submitted": 2, "completed": 2},
    ),
    Scenario(
        "exits",
        "It calls `sys.exit`",
        "main process, when it misses the process",
        times(1, "exits"),
        {"submitted": 1, "failed": 1},
    ),
    Scenario(
        "unencodable",
        "Its result cannot be serialized",
        "main process, the exception",
        times(1, "unencodable"),
        {"submitted": 1, "failed": 1},
    ),
    Scenario(
        "rejected",
        "It raises `Reject` without requeue",
        "main process, the exception",
        times(2, "rejected"),
        {"submitted": 2, "failed": 2},
    ),
    Scenario(
        "rejected_late",
        "It raises `Reject` with requeue before it is acknowledged, then ends well",
        "main process, the last run alone",
        times(1, "rejected_late"),
        {"submitted": 1, "completed": 1},
    ),
    Scenario(
        "rejected_early",
        "It raises `Reject` with requeue after it was acknowledged: nothing comes back",
        "main process, as `rejected`",
        times(1, "rejected_early"),
        {"submitted": 1, "dropped": 1},
        "rejected",
    ),
    Scenario(
        "ignored",
        "It raises `Ignore`",
        "main process, as `ignored`",
        times(2, "ignored"),
        {"submitted": 2, "dropped": 2},
        "ignored",
    ),
    Scenario(
        "replaced",
        "It replaces itself by another task",
        "main process, as `ignored`",
        times(1, "replaced"),
        {"submitted": 1, "dropped": 1},
        "ignored",
    ),
    Scenario(
        "replacement",
        "The task that replaces it",
        "where it is published: in the pool process; main process",
        times(0, "replacement"),
        {"submitted": 1, "completed": 1},
    ),
    Scenario(
        "expired",
        "It expired before a worker took it",
        "main process, as `expired`",
        times(2, "expired", expires=-1),
        {"submitted": 2, "dropped": 2},
        "expired",
    ),
    Scenario(
        "revoked",
        "It is revoked while it waits",
        "main process, as `revoked`",
        revoke_waiting,
        {"submitted": 1, "dropped": 1},
        "revoked",
    ),
    Scenario(
        "terminated",
        "It is terminated while it runs",
        "main process, as `terminated`",
        terminate_running,
        {"submitted": 1, "dropped": 1},
        "terminated",
    ),
    Scenario(
        "later",
        "It has a countdown",
        "main process, the result",
        times(2, "later", countdown=1),
        {"submitted": 2, "completed": 2},
    ),
    Scenario(
        "spread",
        "It publishes five tasks",
        "main process, the result",
        times(2, "spread", 5),
        {"submitted": 2, "completed": 2},
    ),
    Scenario(
        "spread_out",
        "Those five tasks, twice",
        "where it is published: in the pool process; main process",
        times(0, "spread_out"),
        {"submitted": 10, "completed": 10},
    ),
    Scenario(
        "publish_and_die",
        "It publishes five tasks and is killed at once",
        "main process, when it misses the process",
        times(2, "publish_and_die", 5),
        {"submitted": 2, "failed": 2},
    ),
    Scenario(
        "published_by_killed",
        "Those five tasks, twice",
        "where it is published: in the process that is killed; main process",
        times(0, "published_by_killed"),
        {"submitted": 10, "completed": 10},
    ),
    Scenario(
        "add",
        "A group of 3, a chain of 3, a chord of 3 with its callback",
        "each where it is published: here and in pool processes; main process",
        canvas,
        {"submitted": 10, "completed": 10},
    ),
    Scenario(
        "measured",
        "It counts and times something of the application",
        "main process; what it measured, in its own process",
        times(12, "measured"),
        {"submitted": 12, "completed": 12},
    ),
    Scenario(
        "own_request",
        "Its class brings a `Request` class of its own",
        "main process, the result",
        times(2, "own_request"),
        {"submitted": 2, "completed": 2},
    ),
    Scenario(
        "not_there",
        "No worker knows the task",
        "main process, when the message comes, as `other`",
        times(2, "not_there"),
        {"submitted": 2, "failed": 2},
        ends_as="other",
    ),
]
