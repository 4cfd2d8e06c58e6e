"""The tests of this folder again, on a SQLAlchemy that the auto-instrumentor refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOGGED = """
import logging, opentelemetry.instrumentation.sqlalchemy, sqlalchemy, telemetry
logging.basicConfig(level="INFO", format="%(message)s")
telemetry.instrument_sqlalchemy(sqlalchemy.create_engine("sqlite://"))
"""


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that imports SQLAlchemy 2.1."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    folder = tmp_path_factory.mktemp("sqlalchemy")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", str(folder)]
    ended = subprocess.run([*command, "sqlalchemy>=2.1,<2.2"], capture_output=True, text=True, check=False, timeout=120)
    if ended.returncode:
        pytest.skip(f"SQLAlchemy 2.1 cannot be had here: {ended.stderr[-200:]}")
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


@pytest.mark.slow
def test_everything_works(newer: dict[str, str]) -> None:
    """Queries and pools are measured as on the versions the instrumentor takes."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow and not postgres", str(Path(__file__).parent)]
    ended = subprocess.run(command, env=newer, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.slow
def test_log_says_so(newer: dict[str, str]) -> None:
    """The start-up log names the version and what the instrumentor wants instead."""
    command = [sys.executable, "-c", LOGGED]
    ended = subprocess.run(command, env=newer, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "our own hooks on SQLAlchemy 2.1." in ended.stderr
    assert "makes no traces here, metrics are complete" in ended.stderr
