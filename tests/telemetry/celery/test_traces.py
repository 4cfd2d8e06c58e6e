"""Contrib's instrumentor traces beside ours: one trace from the request to the task, and no number twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.waiting import eventually
from tests.telemetry.celery.fleet import ROOT, TASKS, Fleet

TRACED = "tests.telemetry.celery.traced_tasks"
PUBLISH = f"""
from opentelemetry import trace
from {TRACED} import fail, succeed, trace_this_process
trace_this_process()
with trace.get_tracer("api").start_as_current_span("POST /chat") as span:
    succeed.delay(); fail.delay()
    print(format(span.get_span_context().trace_id, "032x"))
"""


def _linked(fleet: Fleet, identity: str) -> set[str]:
    """Tasks whose duration leads to this trace."""
    return {
        dict(labels)["task_name"]
        for (name, labels), exemplar in list(fleet.sink.exemplars)
        if name == "celery_task_duration_seconds" and exemplar.trace_id.hex() == identity
    }


def test_trace_goes_from_request_to_task(fleet: Fleet, tmp_path: Path) -> None:
    """Both tasks run in the trace of the request that published them, their durations lead to it, and every count is one."""
    spans = tmp_path / "spans"
    variables = {"SPANS": str(spans), "OTEL_METRICS_EXEMPLAR_FILTER": "trace_based"}
    fleet.start_worker("-I", TRACED, **variables)
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH],
        env=fleet.env(**variables),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    identity = done.stdout.split()[-1]

    def ran_in_the_trace(task: str) -> bool:
        return any(f"run/{TASKS}.{task}" in span and identity in span for span in spans.read_text().split("\n}\n"))

    assert eventually(lambda: ran_in_the_trace("succeed") and ran_in_the_trace("fail")), spans.read_text()
    ends = {"succeed": {"submitted": 1, "completed": 1}, "fail": {"submitted": 1, "failed": 1}}
    for task, truth in ends.items():
        assert eventually(lambda task=task, truth=truth: fleet.counted(f"{TASKS}.{task}") == truth), fleet.counted(
            f"{TASKS}.{task}"
        )
    assert eventually(lambda: fleet.sink.total("celery_task_duration_seconds") == 2)
    assert eventually(lambda: _linked(fleet, identity) == {f"{TASKS}.succeed", f"{TASKS}.fail"})
    assert not [name for name, _ in list(fleet.sink.totals) if name.startswith("flower")]
