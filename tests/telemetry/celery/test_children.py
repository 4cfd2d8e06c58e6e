"""What is measured inside a task, in processes that live long, for one task only, or without a collector."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from support.processes import children
from support.waiting import eventually
from tests.telemetry.celery.fleet import TASKS, Fleet

COUNT = 12


def arrived(fleet: Fleet) -> tuple[float, float]:
    """How many events of the application arrived: one counted, one timed."""
    return (
        fleet.sink.total("llm_cache_hits_total", model="inside"),
        fleet.sink.total("llm_request_duration_seconds", model="inside"),
    )


def test_shutdown_takes_the_last_events(fleet: Fleet) -> None:
    """With an interval of an hour everything arrives when the worker ends."""
    worker = fleet.start_worker(OTEL_METRIC_EXPORT_INTERVAL="3600000")
    results = [fleet.send("measured") for _ in range(COUNT)]
    assert eventually(lambda: all(result.ready() for result in results))
    assert arrived(fleet) == (0, 0)
    fleet.end(worker)
    assert arrived(fleet) == (COUNT, COUNT)


def test_dead_collector_stalls_no_recycling(fleet: Fleet, tmp_path: Path) -> None:
    """Processes of one task each go on at their speed without a collector; nothing is lost, nothing left on disk."""
    fleet.sink.status = 503
    state = tmp_path / "state"
    worker = fleet.start_worker("--max-tasks-per-child", "1", TELEMETRY_STATE_DIR=str(state))
    begun = time.monotonic()
    results = [fleet.send("measured") for _ in range(COUNT)]
    assert eventually(lambda: all(result.ready() for result in results))
    assert time.monotonic() - begun < 15  # two processes that waited 5 seconds each would take 30
    assert arrived(fleet) == (0, 0)
    assert len(list(state.glob("*.box"))) >= COUNT
    fleet.sink.status = 200
    assert eventually(lambda: arrived(fleet) == (COUNT, COUNT)), arrived(fleet)
    fleet.end(worker)
    assert arrived(fleet) == (COUNT, COUNT)
    assert list(state.iterdir()) == []


def test_killed_children_lose_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """What a pool process counted before a SIGKILL or its recycling arrives: LLM calls, own metrics, cost and all."""
    state = tmp_path / "state"
    worker = fleet.start_worker("--max-tasks-per-child", "3", TELEMETRY_STATE_DIR=str(state))
    results = [fleet.send("measured_and_killed" if number % 4 == 0 else "measured") for number in range(4 * COUNT)]
    assert eventually(lambda: all(result.ready() for result in results), 60)
    runs = int(
        fleet.flag("runs:measured")
    )  # Celery runs a task twice whose child died before its parent read that it began
    assert runs >= 4 * COUNT
    assert eventually(lambda: arrived(fleet) == (runs, runs)), arrived(fleet)
    assert eventually(lambda: fleet.sink.total("own_events_total") == runs)
    assert eventually(lambda: fleet.sink.total("llm_cost_usd_total") == pytest.approx(2.5 * runs))
    fleet.end(worker)
    assert fleet.sink.missing == 0
    assert list(state.iterdir()) == []


def test_idle_child_has_no_thread_of_ours(fleet: Fleet) -> None:
    """A pool process runs no thread of telemetry before it measures something, and never speaks for the worker."""
    fleet.start_worker("-c", "1")
    assert [name for name in fleet.send("threads_of_child").get(20) if "telemetry" in name] == []
    fleet.send("measured").get(20)
    threads = [name for name in fleet.send("threads_of_child").get(20) if "telemetry" in name]
    assert [name for name in threads if name != "telemetry-prices"] == ["telemetry-export", "telemetry-observe"]
    assert eventually(lambda: len(fleet.sink.instances) == 2)

    def sizes() -> list[float]:
        levels = list(fleet.sink.levels.items())
        return [value for (_, (metric, _)), value in levels if metric == "celery_worker_pool_size"]

    assert eventually(sizes) == [1]  # of the worker alone


def lost(fleet: Fleet, ended_by: str) -> float:
    """The pool processes that the worker lost in this way."""
    labels = {"hostname": "w1@test", "ended_by": ended_by}
    return fleet.sink.total("celery_pool_processes_lost_total", **labels)


def test_lost_processes_are_counted(fleet: Fleet) -> None:
    """A killed process counts, idle or not; one that was recycled, terminated on request or stopped does not."""
    worker = fleet.start_worker("--max-tasks-per-child", "2")
    os.kill(children(worker.pid)[0], signal.SIGKILL)
    assert eventually(lambda: lost(fleet, "SIGKILL") == 1)
    results = [fleet.send("succeed") for _ in range(8)]
    assert eventually(lambda: all(result.ready() for result in results))
    running = fleet.send("terminated")
    assert eventually(lambda: fleet.flag(f"started:{running.id}"))
    running.revoke(terminate=True, signal="SIGKILL")
    assert eventually(lambda: fleet.counted(f"{TASKS}.terminated") == {"dropped": 1})
    fleet.send("killed")
    assert eventually(lambda: lost(fleet, "SIGKILL") == 2)
    fleet.end(worker)
    assert fleet.sink.total("celery_pool_processes_lost_total") == 2


def test_prefetch_limit_is_the_workers(fleet: Fleet) -> None:
    """The limit is what Celery asked the broker for: processes times multiplier."""
    fleet.start_worker("--prefetch-multiplier", "3")
    assert eventually(lambda: fleet.sink.fact("celery_worker_prefetch_limit", hostname="w1@test") == 6)
