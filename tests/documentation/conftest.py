"""One wheel and one environment for every block of the documentation."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.documentation.sandbox import ROOT, Sandbox, is_possible


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """With the wheel of this repository in it."""
    if not is_possible():
        pytest.skip("this machine allows no network namespace: `unshare --map-root-user --net true` fails")
    home = tmp_path_factory.mktemp("documentation")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(home / "wheel")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    made = Sandbox(home, next((home / "wheel").glob("*.whl")))
    made.make()
    return made
