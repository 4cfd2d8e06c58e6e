"""What a worker loads before it forks its pool; in processes of their own, because what is loaded stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WORKER = """
import sys
from celery import Celery, signals
import telemetry
import {library}

app = Celery("tests", broker="memory://")
telemetry.configure("tests")
telemetry.instrument_celery(app)
app.Worker(pool="{pool}", hostname="tests@here")
print(*(name for name in {watched!r} if name in sys.modules))
"""
WATCHED = ("genai_prices.data", "telemetry.instrumentation.sqlalchemy.engine")


@pytest.mark.parametrize(
    ("library", "pool", "loaded"),
    [
        ("openai", "prefork", ["genai_prices.data"]),
        ("sqlalchemy", "prefork", ["telemetry.instrumentation.sqlalchemy.engine"]),
        ("json", "prefork", []),
        ("openai", "solo", []),
    ],
)
def test_loaded_before_the_fork(library: str, pool: str, loaded: list[str]) -> None:
    """A node with processes loads what they will need of the libraries it has, any other loads nothing early."""
    program = WORKER.format(library=library, pool=pool, watched=WATCHED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OTEL_METRICS_EXPORTER": "none"}
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == loaded
