"""What beat publishes is counted in beat, and once: the real scheduler, a real worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.telemetry.celery.fleet import ROOT, TASKS, Broker, eventually, running


def test_scheduled_tasks_are_submissions(broker: Broker, tmp_path: Path) -> None:
    """Every task that beat published before it was stopped is submitted once and completed once."""
    schedule = {"often": {"task": f"{TASKS}.succeed", "schedule": 0.2}}
    with running(broker, tmp_path, beat_schedule=schedule, beat_max_loop_interval=0.1) as fleet:
        fleet.start_worker()
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            TASKS,
            "beat",
            "--pidfile=",
            "-l",
            "info",
            "-s",
            str(tmp_path / "schedule"),
        ]
        with (tmp_path / "beat.log").open("wb") as log:
            beat = subprocess.Popen(command, env=fleet.env(), cwd=ROOT, stdout=log, stderr=log)
            try:
                assert eventually(lambda: fleet.counted(f"{TASKS}.succeed").get("completed", 0) >= 5), fleet.counted(
                    "succeed"
                )
            finally:
                beat.terminate()
                beat.wait(20)
        published = (tmp_path / "beat.log").read_text().count("Sending due task")
        assert eventually(
            lambda: fleet.counted(f"{TASKS}.succeed") == {"submitted": published, "completed": published}
        ), (
            published,
            fleet.counted(f"{TASKS}.succeed"),
        )
