"""Real Celery prefork workers on a real Redis, publishers like replicas: every task once, whatever happens to its child."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping

import pytest

from support.waiting import eventually
from tests.accuracy.conftest import SHORT, Scale
from tests.accuracy.measure import Bound, Check
from tests.accuracy.systems.base import System, WithCollector
from tests.telemetry.celery.fleet import Broker, Fleet

pytestmark = pytest.mark.costly
counts_tasks = pytest.mark.needs("tasks")
PUBLISH = """
import sys
from importlib import import_module
app = import_module(sys.argv[1]).app
from tests.telemetry.celery import tasks
for name, count in zip(sys.argv[2::2], map(int, sys.argv[3::2])):
    for _ in range(count):
        getattr(tasks, name).delay()
"""
# What each task does: how it ends.
ENDS: dict[str, dict[str, int]] = {
    "succeed": {"completed": 1},
    "fail": {"failed": 1},
    "wait": {"completed": 1},
    "retry_in_vain": {"retried": 2, "failed": 1},
    "retry_with_luck": {"retried": 2, "completed": 1},
    "hard_limit": {"failed": 1},
    "soft_limit": {"failed": 1},
    "soft_limit_handled": {"completed": 1},
    "killed": {"failed": 1},
    "killed_late": {"completed": 1},
    "exits": {"failed": 1},
    "measured": {"completed": 1},
    "measured_and_killed": {"failed": 1},
}
# What each run of `measured` records itself.
INSIDE = {
    "own counter": 1,
    "LLM calls": 1,
    "LLM cost, USD": 2.5,
    "LLM durations": 1,
    "queries": 1,
    "storage operations": 1,
    "stored bytes": 10,
}


class _Nodes:
    """The worker nodes of a scenario and what they are given to do."""

    def __init__(self, fleet: Fleet, system: System, scale: Scale) -> None:
        self._fleet = fleet
        self._system = system
        self._nodes, self._children, self.replicas = (1, 2, 1) if scale is SHORT else (3, 2, 3)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.truth: Counter[str] = Counter()

    def start(self, *options: str, nodes: int | None = None) -> None:
        """Start them all, ready for their first task."""
        for number in range(nodes or self._nodes):
            options = ("-c", str(self._children), *options)
            self.processes.append(
                self._fleet.start_worker(
                    *options, name=f"w{number}", application=self._system.application, **self._system.variables()
                )
            )

    def publish(self, tasks: Mapping[str, int]) -> None:
        """Replicas publish each its share; they end when they have."""
        arguments = [self._system.application, *(word for name, count in tasks.items() for word in (name, str(count)))]
        command = [sys.executable, "-c", PUBLISH, *arguments]
        made = [
            subprocess.Popen(command, env=self._fleet.env(**self._system.variables())) for _ in range(self.replicas)
        ]
        assert [replica.wait(240) for replica in made] == [0] * self.replicas
        for name, count in tasks.items():
            self.truth["submitted"] += self.replicas * count
            for kind, times in ENDS[name].items():
                self.truth[kind] += self.replicas * count * times

    def all_have_run(self, broker: Broker) -> bool:
        """Whether every task has a result, which its child or its parent has left in Redis."""
        return eventually(lambda: len(broker.client.keys("celery-task-meta-*")) == self.truth["submitted"], 240)

    def compare(self, check: Check, broker: Broker) -> None:
        """Totals of every kind that the system counts, against what happened."""
        assert self.all_have_run(broker)
        ended = self.truth["completed"] + self.truth["failed"]
        truth = {**self.truth, "durations": ended, "runs": ended + self.truth["retried"]}
        eventually(
            lambda: all(truth.get(what, 0) == n for what, n in self._system.tasks().items()), self._system.patience
        )
        for what, counted in self._system.tasks().items():
            if truth.get(what) or counted:
                check.exact(what, truth.get(what, 0), counted)
        self._system.assert_nothing_dropped()

    def end(self) -> None:
        """Stop them in good order."""
        for process in self.processes:
            self._fleet.end(process, 60)


@pytest.fixture
def nodes(fleet: Fleet, system: System, scale: Scale) -> _Nodes:
    """Not started yet: 1 node of 2 children and 1 replica in the short form, 3 of 2 and 3 in the full one."""
    return _Nodes(fleet, system, scale)


@counts_tasks
@pytest.mark.covered
def test_tasks_steadily(check: Check, nodes: _Nodes, broker: Broker, scale: Scale) -> None:
    """Celery, steady load: tasks that succeed, fail and retry."""
    nodes.start()
    each = scale.events // 30
    nodes.publish({"succeed": 3 * each, "fail": each // 2, "retry_with_luck": 3, "retry_in_vain": 3})
    nodes.compare(check, broker)


@counts_tasks
def test_tasks_with_recycled_children(check: Check, nodes: _Nodes, broker: Broker, scale: Scale) -> None:
    """Celery, `max_tasks_per_child=1`: every task in a child of its own, and the worker stopped afterwards."""
    nodes.start("--max-tasks-per-child", "1")
    nodes.publish({"succeed": min(scale.events // 30, 100), "fail": 3})
    assert nodes.all_have_run(broker)
    nodes.end()
    nodes.compare(check, broker)


@counts_tasks
@pytest.mark.covered
def test_tasks_whose_child_is_killed(check: Check, nodes: _Nodes, broker: Broker, scale: Scale) -> None:
    """Celery, child SIGKILLed or leaving in the middle of a task: the parent counts how it ended."""
    nodes.start()
    each = min(scale.events // 150, 20)
    nodes.publish({"killed": each, "succeed": 10, "killed_late": each, "exits": each})
    nodes.compare(check, broker)


def test_what_killed_children_recorded(check: Check, nodes: _Nodes, fleet: Fleet, system: System, scale: Scale) -> None:
    """Celery, what a task recorded whose child is SIGKILLed or recycled: LLM calls with cost, queries, storage, own metrics."""
    nodes.start("--max-tasks-per-child", "3")
    each = min(scale.events // 30, 40)
    nodes.publish({"measured": each, "measured_and_killed": each // 3, "succeed": each // 3})
    assert nodes.all_have_run(fleet.broker)
    # Celery sends a task again whose child died before its parent had read that it began: the runs count themselves.
    runs = int(fleet.flag("runs:measured") or 0)
    assert runs >= nodes.replicas * (each + each // 3)
    truth = {what: times * runs for what, times in INSIDE.items()}
    eventually(lambda: all(truth[what] == round(n, 6) for what, n in system.inside_tasks().items()), system.patience)
    for what, counted in system.inside_tasks().items():
        bound = Bound("an export in flight at a kill may count twice", doubled=truth[what])
        check.exact(what, truth[what], round(counted, 6), bound)
    nodes.end()


@counts_tasks
@pytest.mark.covered
def test_tasks_with_time_limits(check: Check, nodes: _Nodes, broker: Broker, scale: Scale) -> None:
    """Celery, hard and soft time limits, handled or not."""
    nodes.start()
    each = min(scale.events // 300, 10)
    nodes.publish({"hard_limit": each, "soft_limit": each, "soft_limit_handled": each, "succeed": 5})
    nodes.compare(check, broker)


@counts_tasks
@pytest.mark.covered
def test_tasks_while_a_worker_stops(check: Check, nodes: _Nodes, broker: Broker) -> None:
    """Celery, one of two workers stopped by SIGTERM in the middle of a queue: it finishes what it has, the other the rest."""
    nodes.start(nodes=2)
    nodes.publish({"wait": 10, "succeed": 20})
    nodes.processes[0].terminate()
    nodes.publish({"wait": 5, "succeed": 20})
    nodes.compare(check, broker)
    assert nodes.processes[0].wait(60) == 0


@pytest.mark.needs("collector")
def test_tasks_while_the_collector_is_away(check: Check, nodes: _Nodes, broker: Broker, system: WithCollector) -> None:
    """Celery, collector away while replicas publish and end, tasks run and children are recycled: it all arrives later."""
    proxy = system.behind_a_proxy()
    proxy.close()
    nodes.publish({"succeed": 20, "fail": 4})
    nodes.start("--max-tasks-per-child", "2")
    assert nodes.all_have_run(broker)
    proxy.open()
    nodes.compare(check, broker)
