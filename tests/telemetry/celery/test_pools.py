"""Pools that run tasks in the worker's own process."""

from __future__ import annotations

import pytest

from support.waiting import eventually
from tests.telemetry.celery.fleet import TASKS, Fleet

TRUTH = {
    "succeed": {"completed": 5},
    "fail": {"failed": 3},
    "retry_in_vain": {"retried": 4, "failed": 2},
    "rejected": {"failed": 1},
    "ignored": {"dropped": 1},
    "expired": {"dropped": 1},
    "spread": {"completed": 1},
    "spread_out": {"submitted": 3, "completed": 3},
    "measured": {"completed": 4},
}


@pytest.mark.parametrize("pool", ["threads", "solo", "gevent"])
def test_pools_without_processes_are_exact(fleet: Fleet, pool: str) -> None:
    """Outcomes, submissions and what is measured inside tasks are exact where worker and task share a process."""
    if pool == "gevent":
        pytest.importorskip("gevent")
    worker = fleet.start_worker("--pool", pool)
    for task, count in {
        "succeed": 5,
        "fail": 3,
        "retry_in_vain": 2,
        "rejected": 1,
        "ignored": 1,
        "measured": 4,
    }.items():
        for _ in range(count):
            fleet.send(task)
    fleet.send("expired", expires=-1)
    fleet.send("spread", 3)

    def counted() -> dict[str, dict[str, float]]:
        return {task: fleet.counted(f"{TASKS}.{task}") for task in TRUTH}

    assert eventually(lambda: counted() == TRUTH, 40), counted()
    fleet.end(worker)
    assert counted() == TRUTH
    assert fleet.sink.total("llm_cache_hits_total", model="inside") == 4
    assert fleet.active_workers(hostname="w1@test") == 0
