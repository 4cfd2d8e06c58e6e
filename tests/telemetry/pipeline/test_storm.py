"""A storm of SIGKILLs over processes that count, export and adopt each other: every count exact, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

CODE = """
import sys
from pathlib import Path
from tests.telemetry.pipeline.storm import storm
report = storm(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
print(report)
assert not report.wrong, report.wrong
assert report.left == 0
assert report.duplicates > 0
assert report.exemplars > report.writers
assert report.events > 50 * report.kills
"""


def _storm(directory: Path, state: Path, kills: int, seed: int) -> None:
    command = [sys.executable, "-c", CODE, str(directory), str(state), str(kills), str(seed)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200)
    sys.stdout.write(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-4000:]


def test_short_storm(tmp_path: Path) -> None:
    """Forty kills at random moments and at chosen points, with refusals, lost answers and hangs: exact."""
    _storm(tmp_path, tmp_path / "state", 40, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_long_storm(tmp_path: Path, place: str, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Three hundred kills, in memory and on disk."""
    state = tmp_path / "state" if place == "disk" else Path(f"/dev/shm/telemetry-storm-{seed}-{tmp_path.name}")
    _storm(tmp_path, state, 300, seed)
