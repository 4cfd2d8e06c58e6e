"""Celery counted whole: real Redis, real prefork workers, every way a task can end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.ports import free_port_run
from tests.support.otlp_sink import OtlpSink

ROOT = Path(__file__).parents[2]
TASKS = "tests.telemetry.celery_tasks"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of its own."""
    port = free_port_run(1)[0]
    program = shutil.which("redis-server")
    assert program, "redis-server is installed by `make install`"
    directory = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    """A collector that adds up."""
    made = OtlpSink()
    yield made
    made.close()


class Celery:
    """A broker's database, workers on it and a publisher, all counting into one sink."""

    def __init__(self, broker: str, sink: OtlpSink) -> None:
        self.broker = broker
        self.sink = sink
        self._env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BROKER": broker,
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            "OTEL_METRIC_EXPORT_INTERVAL": "300",
        }

    @contextmanager
    def worker(self, *options: str, name: str = "w1") -> Iterator[subprocess.Popen[bytes]]:
        """A worker that is up; warm shutdown at the end."""
        command = [sys.executable, "-m", "celery", "-A", TASKS, "worker", "-n", f"{name}@test", "-Q", "fast,slow"]
        process = subprocess.Popen(
            [*command, "-c", "2", *options], env=self._env, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            assert self.sink.eventually(lambda s: self._alive(f"{name}@test") == 1, 40)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(30)

    def publish(self, code: str) -> None:
        """Publish from a process that exports its submissions."""
        subprocess.run([sys.executable, "-c", f"from {TASKS} import *\n{code}"], env=self._env, check=True, timeout=60)

    def _alive(self, hostname: str) -> float | None:
        return self.level("celery_active_workers", hostname=hostname)

    def level(self, metric: str, **labels: str) -> float | None:
        """What any process says of a fact now."""
        key = (metric, frozenset(labels.items()))
        values = [value for (_, series), value in list(self.sink.levels.items()) if series == key]
        return values[-1] if values else None

    def outcome(self, task: str) -> dict[str, float]:
        """What was counted of a task."""
        name = f"{TASKS}.{task}"
        counted = {
            kind: self.sink.total(f"celery_tasks_{kind}_total", task_name=name)
            for kind in ("submitted", "completed", "failed", "retried", "dropped")
        }
        return {kind: count for kind, count in counted.items() if count}


@pytest.fixture
def celery(broker: str, sink: OtlpSink) -> Celery:
    """Celery on an empty broker."""
    import redis

    redis.Redis.from_url(broker).flushall()
    return Celery(broker, sink)


EXPECTED: dict[str, dict[str, float]] = {
    "succeed": {"submitted": 25, "completed": 25},
    "fail": {"submitted": 3, "failed": 3},
    "retry": {"submitted": 2, "retried": 4, "failed": 2},
    "die": {"submitted": 2, "failed": 2},
    "hang": {"submitted": 2, "failed": 2},
    "hang_softly": {"submitted": 1, "failed": 1},
    "ignore": {"submitted": 2, "dropped": 2},
    "reject": {"submitted": 2, "dropped": 2},
    "spread": {"submitted": 5, "completed": 5},
}
CALM = """
for _ in range(20): succeed.delay()
for _ in range(5): spread.delay()
"""
STORM = """
for _ in range(3): fail.delay()
for _ in range(2): retry.delay(); die.delay(); hang.delay(); ignore.delay(); reject.delay()
hang_softly.delay()
"""


@pytest.mark.parametrize("options", [(), ("--max-tasks-per-child", "1")], ids=["steady", "recycled"])
def test_every_outcome_is_exact(celery: Celery, options: tuple[str, ...]) -> None:
    """Success, error, retry, SIGKILL, both time limits, Ignore, Reject and publishing from a task, each once."""
    with celery.worker(*options):
        # First what publishes from within a child: the storm kills children, and a killed one loses an interval.
        celery.publish(CALM)
        assert celery.sink.eventually(lambda s: celery.outcome("succeed") == EXPECTED["succeed"], 40)
        celery.publish(STORM)
        celery.sink.eventually(lambda s: {task: celery.outcome(task) for task in EXPECTED} == EXPECTED, 60)
        assert {task: celery.outcome(task) for task in EXPECTED} == EXPECTED
    # The worker has ended and delivered all: still the same.
    assert {task: celery.outcome(task) for task in EXPECTED} == EXPECTED
    durations = celery.sink.total("celery_task_duration_seconds")
    ended = celery.sink.total("celery_tasks_completed_total") + celery.sink.total("celery_tasks_failed_total")
    assert durations == ended
    assert celery.sink.total("celery_tasks_completed_total", queue="slow") == 5


def test_children_deliver_what_they_measured(celery: Celery) -> None:
    """What is measured inside a task arrives also when every child lives for one task only."""
    with celery.worker("--max-tasks-per-child", "1"):
        celery.publish("for _ in range(12): succeed.delay()")
        assert celery.sink.eventually(lambda s: s.total("llm_cache_hits_total", model="inside") == 12, 40)
    assert celery.sink.total("llm_cache_hits_total", model="inside") == 12


def test_warm_shutdown_loses_nothing(celery: Celery) -> None:
    """A worker told to stop in the middle of its work counts what it finishes; the next one counts the rest."""
    celery.publish("for _ in range(20): wait.delay()")
    with celery.worker():
        assert celery.sink.eventually(lambda s: celery.outcome("wait").get("completed", 0) >= 2)
    with celery.worker(name="w2"):
        assert celery.sink.eventually(lambda s: celery.outcome("wait") == {"submitted": 20, "completed": 20}, 40)


def test_queue_length_counts_every_priority(celery: Celery) -> None:
    """All priority sub-queues together, and a declared queue that is empty stands at 0."""
    with celery.worker(), ExitStack() as stack:
        process: Any = stack.enter_context(celery.worker(name="reader"))
        assert process.poll() is None
        celery.publish("app.control.cancel_consumer('slow', reply=True)")
        celery.publish("for p in (0, 1, 3, 5, 9): succeed.apply_async(queue='slow', priority=p)")
        assert celery.sink.eventually(lambda s: celery.level("celery_queue_length", queue="slow") == 5)
        assert celery.level("celery_queue_length", queue="fast") == 0
        celery.publish("app.control.add_consumer('slow', reply=True)")
        assert celery.sink.eventually(lambda s: celery.level("celery_queue_length", queue="slow") == 0)


def test_stopped_worker_is_zero_at_once(celery: Celery) -> None:
    """A worker that ends normally stands at 0, kept by another process of the fleet."""
    with celery.worker(name="stays"):
        with celery.worker(name="goes"):
            pass
        assert celery.sink.eventually(lambda s: celery.level("celery_active_workers", hostname="goes@test") == 0, 30)
        assert celery.level("celery_active_workers", hostname="stays@test") == 1
