"""What tests of deployed collectors share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.collector import ROOT


@pytest.fixture(scope="session")
def fleetload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that drives collectors, built from this tree."""
    program = tmp_path_factory.mktemp("fleetload") / "fleetload"
    subprocess.run(["go", "build", "-o", program, "./cmd/fleetload"], cwd=ROOT / "collector", check=True)
    return program
