"""`opentelemetry-instrument celery …` on an application without a line of telemetry: the real command, the real worker."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.waiting import eventually
from tests.telemetry.celery.fleet import ROOT, Fleet

TASKS = "tests.telemetry.celery.plain_tasks"
COMMAND = str(Path(sys.executable).with_name("opentelemetry-instrument"))
PUBLISH = f"""
from {TASKS} import fail, succeed
for _ in range(7): succeed.delay()
for _ in range(2): fail.delay()
"""


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """A directory that makes Python believe that the package is installed, with the entry points it declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = tmp_path / "site" / f"fleet_telemetry-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fleet-telemetry\nVersion: {project['version']}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return str(info.parent)


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
            assert eventually(lambda: "plain@test ready" in log.read_text(), 40), log.read_text()
            subprocess.run([COMMAND, sys.executable, "-c", PUBLISH], env=variables, check=True)
            counts = {"submitted": 9, "completed": 7, "failed": 2}
            assert eventually(
                lambda: (
                    {kind: fleet.sink.total(f"celery_tasks_{kind}_total", queue="plain") for kind in counts} == counts
                )
            ), log.read_text()
            assert fleet.sink.total("celery_task_duration_seconds") == 9
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
