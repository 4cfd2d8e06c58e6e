"""Starts what the Celery tests measure: a Redis, workers and publishers as real processes; it knows no metric's truth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from celery import Celery

from support.ports import free_port, is_open
from support.processes import program
from support.waiting import eventually
from tests.support.otlp_sink import OtlpSink

ROOT = Path(__file__).parents[3]
TASKS = "tests.telemetry.celery.tasks"
Process = subprocess.Popen[bytes]


class Broker:
    """A Redis of its own; it can be stopped and started again."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.client: Any = redis.Redis(port=self.port, db=0)
        self._directory = directory
        self.start()

    def start(self) -> None:
        """Start, and wait until it listens."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory), "--save", ""]
        self._process = subprocess.Popen([program(Path("redis-server")), *options], stdout=subprocess.DEVNULL)
        assert eventually(lambda: is_open(self.port))

    def stop(self) -> None:
        """End it; every connection breaks."""
        self._process.kill()
        self._process.wait()


class Fleet:
    """Workers and publishers on one broker (results are always in the Redis), all exporting into one sink."""

    def __init__(self, broker: Broker, sink: OtlpSink, logs: Path, url: str | None = None, **conf: Any) -> None:
        self.broker = broker
        self.url = url or broker.url
        self.sink = sink
        self.conf = {"broker_connection_retry_on_startup": True, "worker_prefetch_multiplier": 1, **conf}
        self.publisher = self._application()
        self._logs = logs
        self._processes: list[Process] = []
        broker.client.flushall()

    def _application(self) -> Celery:
        app = Celery(broker=self.url, backend=self.broker.url)
        app.conf.update(self.conf)
        return app

    def flag(self, name: str) -> Any:
        """What a task noted down."""
        return redis.Redis(port=self.broker.port, db=5).get(name)

    def env(self, **more: str) -> dict[str, str]:
        """What every process of the fleet gets."""
        own = {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "BROKER": self.url,
            "BACKEND": self.broker.url,
            "TMPDIR": str(self._logs),
            "TELEMETRY_STATE_DIR": str(self._logs / "state"),
            "CELERY_CONF": json.dumps(self.conf),
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.sink.url,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
        }
        return {
            **{k: v for k, v in os.environ.items() if k not in {"TELEMETRY_STRICT", "TELEMETRY_RAISE_ERRORS"}},
            **own,
            **more,
        }

    def start_worker(
        self, *options: str, name: str = "w1", wait: bool = True, application: str = TASKS, **env: str
    ) -> Process:
        """A worker with two pool processes that is ready for its first task."""
        command = [sys.executable, "-m", "celery", "-A", application, "worker", "-l", "info", "-n", f"{name}@test"]
        command += ["-c", "2", *options]
        process = self._start(name, command, env)
        if wait:
            log = self.log(name)
            assert eventually(lambda: f"{name}@test ready" in log.read_text(), 80), log.read_text()
        return process

    def start_publisher(self, name: str = "publisher", **env: str) -> Process:
        """A process that knows its queues, as one that has published, and stays until its input is closed."""
        program = f"import sys\nfrom {TASKS} import app\napp.amqp.queues\nsys.stdin.read()"
        return self._start(name, [sys.executable, "-c", program], env, stdin=subprocess.PIPE)

    def start_beat(self) -> Process:
        """The scheduler, with a schedule file of its own."""
        command = [sys.executable, "-m", "celery", "-A", TASKS, "beat", "--pidfile=", "-l", "info"]
        return self._start("beat", [*command, "-s", str(self.schedule_file)], {})

    @property
    def schedule_file(self) -> Path:
        """Where beat notes what it has published."""
        return self._logs / "schedule"

    def _start(self, name: str, command: list[str], env: Mapping[str, str], stdin: int | None = None) -> Process:
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                command, env=self.env(**env), cwd=ROOT, stdin=stdin, stdout=log, stderr=log, start_new_session=True
            )
        self._processes.append(process)
        return process

    def log(self, name: str) -> Path:
        """What a process wrote."""
        return self._logs / f"{name}.log"

    def end(self, process: Process, seconds: float = 80) -> int:
        """End a process normally; its exit code."""
        if process.stdin is not None:
            process.stdin.close()
        elif process.poll() is None:
            process.send_signal(signal.SIGTERM)
        return process.wait(seconds)

    def kill(self, process: Process) -> None:
        """Kill a process and its pool processes all at once."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """End what still runs; a result that is freed later must not ask a broker that is gone."""
        self.publisher.backend.remove_pending_result = lambda result: result
        for process in self._processes:
            if process.poll() is None:
                self.kill(process)

    def send(self, task: str, *args: Any, **options: Any) -> Any:
        """Publish by name."""
        return self.publisher.send_task(f"{TASKS}.{task}", args=args, **options)

    def signature(self, task: str, *args: Any, **options: Any) -> Any:
        """For groups, chains and chords."""
        return self.publisher.signature(f"{TASKS}.{task}", args=args, app=self.publisher, **options)

    def active_workers(self, **labels: str) -> float | None:
        """What the fleet reports of a worker node."""
        return self.sink.fact("celery_active_workers", **labels)

    def queue_length(self, queue: str) -> float | None:
        """What the fleet reports of a queue."""
        return self.sink.fact("celery_queue_length", queue=queue)

    def counted(self, task: str) -> dict[str, float]:
        """What was counted of a task, submissions of this very process apart."""
        kinds = ("submitted", "completed", "failed", "retried", "dropped")
        totals = {kind: self.sink.total(f"celery_tasks_{kind}_total", task_name=task) for kind in kinds}
        return {kind: total for kind, total in totals.items() if total}


@contextmanager
def running(broker: Broker, logs: Path, url: str | None = None, **conf: Any) -> Iterator[Fleet]:
    """A fleet whose processes all end with the block; its broker is the one at ``url``, where that is given."""
    sink = OtlpSink()
    fleet = Fleet(broker, sink, logs, url, **conf)
    try:
        yield fleet
    finally:
        fleet.close()
        sink.close()
