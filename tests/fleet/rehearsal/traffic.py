"""Users of a rehearsal's front door, and what they saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.rehearsal.fleet import Rehearsal
from deploy.settings import ROOT
from tests.fleet.rehearsal import clients


@contextmanager
def traffic(rehearsal: Rehearsal, token: str, file: Path, seconds: float, seed: int) -> Iterator[None]:
    """Users act for so long, beside the block; at its end what they saw is in the file."""
    url = f"http://{rehearsal.address('nginx')}:8100"
    command = [sys.executable, "-m", "deploy.traffic", "--base-url", url, "--seconds", f"{seconds:.0f}"]
    users = subprocess.Popen(
        [*command, "--seed", str(seed), "--truth", str(file)],
        cwd=ROOT,
        env={**os.environ, "ADMIN_TOKEN": token},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
        assert users.wait(seconds + 120) == 0
    finally:
        users.kill()
        users.wait()


def answers(file: Path) -> Counter[clients.Answer]:
    """What they were answered, and how often."""
    rows = json.loads(file.read_text())["requests"]
    return Counter({(row["method"], row["route"], row["status"]): row["count"] for row in rows})
