"""Many senders at one collector: their number changes nothing that is shown, and next to nothing of what it costs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from support.collector import DURABLE, find_otelcol

SERIES = 2000
SHOWN = SERIES // 2 * (1 + 17)  # half are counters, half histograms of 14 bounds


def _fleet(program: Path, state: Path, senders: int, *flags: str) -> dict[str, Any]:
    command = [str(program), "fleet", "-otelcol", find_otelcol(), "-config", str(DURABLE), "-state", str(state)]
    command += ["-senders", str(senders), "-points", "100", "-series", str(SERIES), "-for", "3s", "-warm", "2s", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_three_hundred_are_as_three(fleetload: Path, tmp_path: Path) -> None:
    """3 and 300 senders with the same points per second: the same series, each exact, memory within a tenth."""
    few, many = (_fleet(fleetload, tmp_path, senders) for senders in (3, 300))
    assert [run["wrong_series"] for run in (few, many)] == [0, 0]
    assert [run["series"] for run in (few, many)] == [SHOWN, SHOWN]
    assert many["senders_remembered"] == 300
    assert many["rss_mib"] < few["rss_mib"] * 1.1


def test_replaced_senders_are_exact(fleetload: Path, tmp_path: Path) -> None:
    """Senders that are replaced again and again: each series exact, and a collector that remembers few forgets the others."""
    found = _fleet(fleetload, tmp_path, 100, "-life", "600ms", "-max-senders", "250")
    assert found["wrong_series"] == 0
    assert found["series"] == SHOWN
    assert found["senders_in_all"] > 500
    assert found["senders_remembered"] <= 251
