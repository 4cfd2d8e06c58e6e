"""The traffic generator against a front door that notes what it answered: what it says it did is what arrived."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.traffic.actions import ACTIONS
from deploy.traffic.run import PLANS
from support.ports import free_port
from tests.support.server import serving
from tests.traffic.front_door import ADMIN, front_door


@dataclass
class Door:
    """A running front door and what it answered."""

    url: str
    seen: Counter[tuple[str, str, str]]


@contextmanager
def open_door() -> Iterator[Door]:
    """A front door, as long as it is needed."""
    seen: Counter[tuple[str, str, str]] = Counter()
    with serving(front_door(seen)) as address:
        yield Door(f"http://{address}", seen)


@pytest.fixture
def door() -> Iterator[Door]:
    """A front door of its own for each test."""
    with open_door() as running:
        yield running


def generate(url: str, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "deploy.traffic", "--base-url", url, *options]
    environment = {name: value for name, value in os.environ.items() if name != "FLEET_DIR"}
    environment |= {"ADMIN_TOKEN": ADMIN} | settings
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def truth_of(door: Door, path: Path, *options: str) -> dict[str, Any]:
    """What the command says it did."""
    ended = generate(door.url, "--truth", str(path), *options)
    assert ended.returncode == 0, ended.stderr
    truth: dict[str, Any] = json.loads(path.read_text())
    return truth


def _requests(truth: dict[str, Any]) -> Counter[tuple[str, str, str]]:
    """Requests as the front door counts them: it has answered 200 before a user leaves a stream."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in truth["requests"]:
        status = "200" if line["status"] == "left" else line["status"]
        counts[line["method"], line["route"], status] += line["count"]
    return counts


def test_truth_is_what_arrived(door: Door, tmp_path: Path) -> None:
    """Every request that the front door answered is in the truth, by route template and status, and none more."""
    truth = truth_of(door, tmp_path / "truth.json", "--requests", "40")
    assert _requests(truth) == door.seen


def test_number_of_actions_is_exact(door: Door, tmp_path: Path) -> None:
    """In the fixed mode there are exactly as many actions as were asked for, each kind in turn."""
    truth = truth_of(door, tmp_path / "truth.json", "--requests", str(2 * len(ACTIONS) + 1))
    by_name: Counter[str] = Counter()
    for line in truth["actions"]:
        by_name[line["action"]] += line["count"]
    assert by_name == {action.__name__: 3 if action is ACTIONS[0] else 2 for action in ACTIONS}


def test_seed_repeats_everything(tmp_path: Path) -> None:
    """The same seed and number of actions do the same with a backend that is in the same state."""
    with open_door() as one, open_door() as other:
        first = truth_of(one, tmp_path / "1.json", "--requests", "28", "--seed", "5")
        second = truth_of(other, tmp_path / "2.json", "--requests", "28", "--seed", "5")
    assert first == second


def test_short_run_does_everything(door: Door, tmp_path: Path) -> None:
    """Even a run of one second does everything once, and provokes what a backend must refuse."""
    started = time.monotonic()
    truth = truth_of(door, tmp_path / "truth.json", "--seconds", "1")
    assert time.monotonic() - started < 60
    assert {line["action"] for line in truth["actions"]} == {action.__name__ for action in ACTIONS}
    statuses = {line["status"] for line in truth["requests"]}
    assert statuses >= {"200", "201", "202", "204", "401", "404", "405", "413", "422", "429", "left"}
    assert door.seen["POST", "/api/v1/users", "201"] == len(PLANS)
    assert door.seen["GET", "unmatched", "404"] > 0


def test_closed_door_is_explained() -> None:
    """A front door that does not answer is one sentence and exit code 2."""
    ended = generate(f"http://127.0.0.1:{free_port()}")
    assert ended.returncode == 2
    assert "does not answer" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_wrong_token_is_explained(door: Door) -> None:
    """A token that the backend does not take is one sentence and exit code 2."""
    ended = generate(door.url, ADMIN_TOKEN="wrong")
    assert ended.returncode == 2
    assert "made no user (401)" in ended.stderr


def test_token_comes_from_the_fleet(door: Door, tmp_path: Path) -> None:
    """Without ADMIN_TOKEN the one in the fleet's directory is taken; with neither, it says so."""
    (tmp_path / "secrets.env").write_text(f"# made\nADMIN_TOKEN={ADMIN}\n")
    found = generate(door.url, "--requests", "1", ADMIN_TOKEN="", FLEET_DIR=str(tmp_path))
    assert found.returncode == 0, found.stderr
    lost = generate(door.url, "--requests", "1", ADMIN_TOKEN="", FLEET_DIR=str(tmp_path / "none"))
    assert (lost.returncode, "ADMIN_TOKEN is not set" in lost.stderr) == (2, True)
