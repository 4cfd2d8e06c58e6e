"""What a process has imported at each stage of its start, asked in a process of its own; how fast that is, `benchmarks/start.py` measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# What only some ways out and prices need; the first is OpenSSL.
HEAVY = (
    "_hashlib asyncio genai_prices google.protobuf grpc httpx2 prometheus_client pydantic requests ssl urllib3".split()
)
STAGES = """
import json, sys
heavy, seen = sys.argv[1:], {}
def stage(name): seen[name] = sorted(module for module in heavy if module in sys.modules)
import telemetry
stage("import")
telemetry.configure("lean")
with telemetry.get().llm.request(provider="openai", model="gpt-4o"):
    pass
stage("configure")
from fastapi import FastAPI
from celery import Celery
from sqlalchemy import create_engine
by_others = {module for module in heavy if module in sys.modules}
telemetry.instrument(FastAPI())
telemetry.instrument_celery(Celery("lean", broker="memory://"))
telemetry.instrument_sqlalchemy(create_engine("sqlite://"))
stage("instrument")
seen["instrument"] = sorted(set(seen["instrument"]) - by_others)
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """The heavy modules that are there at each stage, without those that FastAPI, Celery and SQLAlchemy import themselves."""
    environment = {**os.environ, "OTEL_METRICS_EXPORTER": "none", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", STAGES, *HEAVY]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("stage", ["import", "configure", "instrument"])
def test_nothing_heavy_is_imported(stage: str, imported: dict[str, list[str]]) -> None:
    """`import telemetry`, `configure()` with exporter none and each `instrument…` import nothing that only an export or a price needs."""
    assert imported[stage] == []
