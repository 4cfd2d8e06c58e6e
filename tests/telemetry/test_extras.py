"""What a process says that lacks a library which an extra brings: one process without any of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = "anyio celery fastapi genai_prices kombu grpc prometheus_client sqlalchemy starlette".split()
WITHOUT = """
import json, logging, sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
import telemetry
from telemetry.extras import MissingExtraError
logging.basicConfig(level=logging.WARNING)
def said(ask):
    try:
        ask()
    except MissingExtraError as error:
        return str(error)
telemetry.configure("without")  # OTEL_METRICS_EXPORTER=prometheus
print(json.dumps({
    "fastapi": said(lambda: telemetry.instrument(object())),
    "celery": said(lambda: telemetry.instrument_celery(object())),
    "sqlalchemy": said(lambda: telemetry.instrument_sqlalchemy(object())),
    "prometheus": said(telemetry.prometheus_asgi_app),
}))
"""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """It goes on to its end, whatever it lacks."""
    state = str(tmp_path_factory.mktemp("state"))
    variables = {"OTEL_METRICS_EXPORTER": "prometheus", "TELEMETRY_STATE_DIR": state, "PYTHONPATH": str(ROOT)}
    environment = {
        name: value for name, value in os.environ.items() if name not in {"TELEMETRY_STRICT", "TELEMETRY_RAISE_ERRORS"}
    } | variables
    command = [sys.executable, "-c", WITHOUT, *LIBRARIES]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("extra", ["fastapi", "celery", "sqlalchemy", "prometheus"])
def test_missing_extra_is_named(extra: str, process: subprocess.CompletedProcess[str]) -> None:
    """What needs an extra says which one, with the `pip install`, instead of `ModuleNotFoundError`."""
    said = json.loads(process.stdout)[extra]
    assert f"pip install 'fleet-telemetry[{extra}]'" in said


def test_way_out_that_is_missing_is_one_line(process: subprocess.CompletedProcess[str]) -> None:
    """A setting whose library is missing is one ERROR line without a traceback, and the service starts."""
    said = "OTEL_METRICS_EXPORTER='prometheus' needs prometheus_client, which is not installed"
    remedy = "pip install 'fleet-telemetry[prometheus]'"
    begins = "ERROR:telemetry:telemetry: the exporter prometheus cannot be started"
    assert process.stderr.splitlines() == [f"{begins}: {said}: {remedy}"]
