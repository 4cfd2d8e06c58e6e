"""Nothing that is kept for an event: a process that counts has as many objects after many events as after few."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from tests.support.otlp_sink import OtlpSink
from tests.telemetry import allocations

NAMES = {
    "requests": "http_requests_total",
    "queries": "db_query_duration_seconds",
    "tasks": "celery_tasks_submitted_total",
    "calls": "llm_requests_total",
}


def test_events_leave_nothing_behind(tmp_path: Path) -> None:
    """Of requests, queries, tasks that are published and calls of models; what comes once (a table, a thread) is in one round only."""
    with closing(OtlpSink()) as sink:
        variables = {
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "TELEMETRY_STATE_DIR": str(tmp_path / "boxes"),
        }
        done = subprocess.run(
            [sys.executable, "-m", allocations.__name__],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        counted = {kind: sink.total(name) for kind, name in NAMES.items()}
    assert counted == dict.fromkeys(NAMES, allocations.ROUNDS * allocations.EVENTS)
    for kind, objects in json.loads(done.stdout).items():
        added = [after - before for before, after in pairwise(objects)]
        assert min(added) < allocations.EVENTS / 5, (kind, added)
