"""Real Celery prefork workers on a real Redis, publishers like replicas: every task once, whatever happens to its child."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.accuracy.conftest import SHORT, Check, Scale
from tests.support.collector import Collector
from tests.support.processes import eventually
from tests.telemetry.celery.fleet import TASKS, Broker, Fleet, running

REPLICAS = 3
KINDS = ("submitted", "completed", "failed", "retried", "dropped")
PUBLISH = f"""
import sys
from {TASKS} import app
from tests.telemetry.celery import tasks
for name, count in zip(sys.argv[1::2], map(int, sys.argv[2::2])):
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
    "ignored": {"dropped": 1},
    "exits": {"failed": 1},
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis of its own."""
    made = Broker(tmp_path_factory.mktemp("redis"))
    yield made
    made.stop()


@pytest.fixture
def fleet(broker: Broker, tmp_path: Path) -> Iterator[Fleet]:
    """Workers and publishers on an empty broker."""
    with running(broker, tmp_path) as made:
        yield made


class _Nodes:
    """The worker nodes of a scenario and what they are given to do."""

    def __init__(self, fleet: Fleet, collector: Collector, scale: Scale) -> None:
        self._fleet = fleet
        self._collector = collector
        self._nodes, self._children = (1, 2) if scale is SHORT else (4, 4)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.truth: Counter[str] = Counter()

    def start(self, *options: str, nodes: int | None = None) -> None:
        """Start them all, ready for their first task."""
        for number in range(nodes or self._nodes):
            self.processes.append(
                self._fleet.start_worker("-c", str(self._children), *options, name=f"w{number}", **self._variables())
            )

    def publish(self, tasks: Mapping[str, int]) -> None:
        """Three replicas publish each its share; they end when they have."""
        arguments = [word for name, count in tasks.items() for word in (name, str(count))]
        variables = self._fleet.env(**self._variables())
        replicas = [
            subprocess.Popen([sys.executable, "-c", PUBLISH, *arguments], env=variables) for _ in range(REPLICAS)
        ]
        assert [replica.wait(240) for replica in replicas] == [0] * REPLICAS
        for name, count in tasks.items():
            self.truth["submitted"] += REPLICAS * count
            for kind, times in ENDS[name].items():
                self.truth[kind] += REPLICAS * count * times

    def compare(self, check: Check, seconds: float = 120) -> None:
        """The collector's totals of every kind against what happened."""
        eventually(lambda: self._counted() == {kind: self.truth[kind] for kind in KINDS}, seconds)
        counted = self._counted()
        for kind in KINDS:
            if self.truth[kind] or counted[kind]:
                check.exact(kind, self.truth[kind], counted[kind])
        ended = self.truth["completed"] + self.truth["failed"]
        check.exact("durations", ended, self._collector.total("celery_task_duration_seconds"))
        check.exact("points dropped inside the collector", 0, self._collector.dropped_points())

    def compare_submitted(self, check: Check) -> None:
        """Submissions alone, before any worker runs."""
        submitted = self._collector.settles_at("celery_tasks_submitted_total", self.truth["submitted"])
        check.exact("submitted", self.truth["submitted"], submitted)

    def end(self) -> None:
        """Stop them in good order."""
        for process in self.processes:
            self._fleet.end(process, 60)

    def _counted(self) -> dict[str, float]:
        return {kind: self._collector.total(f"celery_tasks_{kind}_total") for kind in KINDS}

    def _variables(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self._collector.endpoint}


@pytest.fixture
def nodes(fleet: Fleet, collector: Collector, scale: Scale) -> _Nodes:
    """Not started yet: 1 node of 2 children in the short form, 4 of 4 in the full one."""
    return _Nodes(fleet, collector, scale)


def test_tasks_steadily(check: Check, nodes: _Nodes, scale: Scale) -> None:
    """Celery, steady load: tasks of 3 replicas that succeed, fail and retry."""
    nodes.start()
    nodes.publish({"succeed": scale.events // 10, "fail": scale.events // 50, "retry_with_luck": 3, "retry_in_vain": 3})
    nodes.compare(check)


def test_tasks_with_recycled_children(check: Check, nodes: _Nodes, scale: Scale) -> None:
    """Celery, `max_tasks_per_child=1`: every task in a child of its own."""
    nodes.start("--max-tasks-per-child", "1")
    nodes.publish({"succeed": min(scale.events // 30, 100), "fail": 3})
    nodes.compare(check)
    nodes.end()
    nodes.compare(check, 5)


def test_tasks_whose_child_is_killed(check: Check, nodes: _Nodes, scale: Scale) -> None:
    """Celery, child SIGKILLed or leaving in the middle of a task: the parent counts how it ended."""
    nodes.start()
    each = min(scale.events // 150, 20)
    nodes.publish({"killed": each, "succeed": 10, "killed_late": each, "exits": each})
    nodes.compare(check)


def test_tasks_with_time_limits(check: Check, nodes: _Nodes, scale: Scale) -> None:
    """Celery, hard and soft time limits, handled or not."""
    nodes.start()
    each = min(scale.events // 300, 10)
    nodes.publish({"hard_limit": each, "soft_limit": each, "soft_limit_handled": each, "succeed": 5})
    nodes.compare(check)


def test_tasks_while_a_worker_stops(check: Check, nodes: _Nodes, scale: Scale) -> None:
    """Celery, one of two workers stopped by SIGTERM in the middle of a queue: it finishes what it has, the other the rest."""
    nodes.start(nodes=2)
    nodes.publish({"wait": 10, "succeed": 20})
    nodes.processes[0].terminate()
    nodes.publish({"wait": 5, "succeed": 20})
    nodes.compare(check)
    assert nodes.processes[0].wait(60) == 0


def test_tasks_while_the_collector_is_away(
    check: Check, nodes: _Nodes, collector: Collector, broker: Broker, scale: Scale
) -> None:
    """Celery, collector down while tasks run and their children are recycled: everything arrives once it is back."""
    nodes.publish({"succeed": 20, "fail": 4})
    nodes.compare_submitted(check)
    collector.stop()
    nodes.start("--max-tasks-per-child", "2")
    assert eventually(lambda: len(broker.client.keys("celery-task-meta-*")) == nodes.truth["submitted"], 120)
    collector.start()
    nodes.truth["submitted"] = 0  # the collector's first life ended with these
    nodes.compare(check)
