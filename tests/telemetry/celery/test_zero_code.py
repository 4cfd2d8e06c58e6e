"""`opentelemetry-instrument celery …` on an application without a line of telemetry: the real command, the real worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.waiting import eventually
from tests.support.installed import pretend_installed
from tests.telemetry.celery.fleet import Fleet

TASKS = "tests.telemetry.celery.plain_tasks"
COMMAND = str(Path(sys.executable).with_name("opentelemetry-instrument"))
PUBLISH = f"""
from {TASKS} import fail, succeed
for _ in range(7): succeed.delay()
for _ in range(2): fail.delay()
"""


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """A directory that makes Python believe that the package is installed."""
    return pretend_installed(tmp_path / "site")


def test_unchanged_application_is_measured(fleet: Fleet, installed: str, tmp_path: Path) -> None:
    """Publisher and worker are measured whole: submissions, outcomes, durations, queues, workers."""
    variables = fleet.env()
    variables["PYTHONPATH"] = os.pathsep.join([installed, variables["PYTHONPATH"]])
    log = tmp_path / "plain.log"
    command = [
        COMMAND,
        sys.executable,
        "-m",
        "celery",
        "-A",
        TASKS,
        "worker",
        "-c",
        "2",
        "-n",
        "plain@test",
        "-l",
        "info",
    ]
    with log.open("wb") as output, subprocess.Popen(command, env=variables, stdout=output, stderr=output) as worker:
        try:
            assert eventually(lambda: "plain@test ready" in log.read_text(), 80), log.read_text()
            subprocess.run([COMMAND, sys.executable, "-c", PUBLISH], env=variables, check=True)
            counts = {"submitted": 9, "completed": 7, "failed": 2}
            assert eventually(
                lambda: (
                    {kind: fleet.sink.total(f"celery_tasks_{kind}_total", queue="plain") for kind in counts} == counts
                )
            ), log.read_text()
            assert eventually(lambda: fleet.sink.total("celery_task_duration_seconds") == 9)
            assert eventually(lambda: fleet.active_workers(hostname="plain@test") == 1)
            assert eventually(lambda: fleet.queue_length("plain") == 0)
        finally:
            worker.terminate()
            assert worker.wait(40) == 0


def test_wrong_setting_leaves_the_program_alone(fleet: Fleet, installed: str) -> None:
    """A wrong setting is a sentence in the log; the program runs."""
    variables = fleet.env(OTEL_METRICS_EXPORTER="carrier-pigeon,none")
    variables["PYTHONPATH"] = os.pathsep.join([installed, variables["PYTHONPATH"]])
    done = subprocess.run(
        [COMMAND, sys.executable, "-c", f"from {TASKS} import app; print(app.main)"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "plain"
    assert "carrier-pigeon" in done.stderr


DEFAULT = """
import sys
import telemetry
from celery import _state, current_app, shared_task
@shared_task
def nobodys(): pass
fallback = current_app._get_current_object()
assert fallback is _state.default_app
poller = vars(fallback)["telemetry_hooks"]._poller
poller._hold_until = 0.0
telemetry.get().force_flush(2)
print("polled" if poller._thread else "left alone")
fallback.conf.update(broker_url=sys.argv[1], task_default_queue="own")
nobodys.delay()
telemetry.get().force_flush(2)
print("polled" if poller._thread else "left alone")
"""


def test_default_application_waits_for_use(fleet: Fleet, installed: str) -> None:
    """The application that `shared_task` makes is not read from a broker before it has published, and then it is."""
    variables = fleet.env()
    variables["PYTHONPATH"] = os.pathsep.join([installed, variables["PYTHONPATH"]])
    done = subprocess.run(
        [COMMAND, sys.executable, "-c", DEFAULT, fleet.url], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["left alone", "polled"], done.stderr
    assert "cannot be read" not in done.stderr
