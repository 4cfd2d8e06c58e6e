"""Thousands of tasks of every kind at once, on workers that are recycled, killed in part and restarted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from support.waiting import eventually
from telemetry import instrument_celery, testing
from tests.telemetry.celery.fleet import Broker, Fleet, running

TASKS = 5000
# What one task of a kind adds to the totals, its follow-ups included; and how often it is drawn.
TRUTH = {
    "succeed": {"submitted": 1, "completed": 1},
    "fail": {"submitted": 1, "failed": 1},
    "retry_in_vain": {"submitted": 1, "retried": 2, "failed": 1},
    "retry_with_luck": {"submitted": 1, "retried": 2, "completed": 1},
    "killed": {"submitted": 1, "failed": 1},
    "killed_late": {"submitted": 1, "completed": 1},
    "hard_limit": {"submitted": 1, "failed": 1},
    "soft_limit": {"submitted": 1, "failed": 1},
    "ignored": {"submitted": 1, "dropped": 1},
    "rejected": {"submitted": 1, "failed": 1},
    "publish_and_die": {"submitted": 4, "failed": 1, "completed": 3},
    "spread": {"submitted": 4, "completed": 4},
    "measured": {"submitted": 1, "completed": 1},
}
ARGUMENTS = {"publish_and_die": (3,), "spread": (3,)}
WEIGHTS = {"succeed": 700, "measured": 80, "fail": 60, "spread": 60, "retry_in_vain": 20, "retry_with_luck": 20}
RARE = 3


def drawn(count: int, seed: int) -> list[str]:
    """A reproducible mix of tasks."""
    kinds = list(TRUTH)
    return random.Random(seed).choices(kinds, [WEIGHTS.get(kind, RARE) for kind in kinds], k=count)


def counted(fleet: Fleet, here: testing.Captured) -> dict[str, float]:
    """All totals, wherever they were counted."""
    kinds = ("submitted", "completed", "failed", "retried", "dropped")
    totals = {kind: fleet.sink.total(f"celery_tasks_{kind}_total") for kind in kinds}
    return {**totals, "submitted": totals["submitted"] + here.total("celery_tasks_submitted_total")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_storm_adds_up(broker: Broker, tmp_path: Path) -> None:
    """After 5,000 mixed tasks every total is the truth: submitted = completed + failed + dropped."""
    kinds = drawn(TASKS, seed=6)
    truth = {
        total: sum(TRUTH[kind].get(total, 0) for kind in kinds)
        for total in ("submitted", "completed", "failed", "retried", "dropped")
    }
    assert truth["submitted"] == truth["completed"] + truth["failed"] + truth["dropped"]
    with running(broker, tmp_path) as fleet, testing.captured() as here:
        instrument_celery(fleet.publisher)
        options = ("--max-tasks-per-child", "50", "-l", "warning")
        workers = [fleet.start_worker(*options, name=name, wait=False) for name in ("w1", "w2")]
        for place, kind in enumerate(kinds):
            fleet.send(kind, *ARGUMENTS.get(kind, ()))
            if place == TASKS // 2:
                fleet.end(workers[0], 60)
                fleet.start_worker(*options, name="w3", wait=False)
        instrument_celery(fleet.publisher).close()
        assert eventually(lambda: counted(fleet, here) == truth, 600), (counted(fleet, here), truth)
        for process in workers[1:]:
            fleet.end(process, 60)
        assert counted(fleet, here) == truth
        assert fleet.sink.total("llm_cache_hits_total", model="inside") == kinds.count("measured")
