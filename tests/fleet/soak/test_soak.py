"""A soak of the whole fleet: half an hour in `make soak`, half a minute among the slow tests."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.settings import FleetSettings
from docs import soak as page
from tests.fleet.soak.fleet import SoakFleet
from tests.fleet.soak.growth import Way, descriptors, rows
from tests.fleet.soak.soak import Soak
from tests.fleet.soak.troubles import DECK

SEED = int(os.environ.get("SOAK_SEED", "19"))
MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
ENVIRONMENT = {"SIMULATED_LLM_SPEED": "50", "FACTS_INTERVAL_SECONDS": "5", "TASK_RETRY_BACKOFF_SECONDS": "0.2"}
SPARED = ("app-1", "worker1")


@dataclass(frozen=True)
class Scale:
    """How long and how hard.

    Attributes:
        minutes: How many.
        seconds: How long each is.
        cards: How many troubles each has.
        deck: Which.
        look: Seconds between two looks at memory.
        way: How slopes are fitted.
    """

    minutes: int
    seconds: float
    cards: int
    deck: Mapping[str, int]
    look: float
    way: Way


LIMITS = {"MiB": 12.0, "descriptors": 6.0, "files": 12.0}
LOOSE = {"MiB": 20_000.0, "descriptors": 5_000.0, "files": 5_000.0}
SHORT = Scale(
    3, 8.0, 1, {"pool process killed": 1, "replica killed": 1, "collector restarted": 1}, 0.5, Way(8.0, 1.0, LOOSE)
)
LONG = Scale(
    max(1, round(MINUTES)),
    min(60.0, MINUTES * 60),
    2,
    DECK,
    3.0,
    Way(min(300.0, MINUTES * 12), min(60.0, MINUTES * 2), LIMITS),
)


@pytest.fixture(
    params=[pytest.param(SHORT, marks=pytest.mark.slow), pytest.param(LONG, marks=pytest.mark.soak)],
    ids=["short", "long"],
)
def scale(request: pytest.FixtureRequest) -> Scale:
    """The short form in `make test-slow`, the long one in `make soak`."""
    made: Scale = request.param
    return made


@pytest.mark.timeout(900 + 120 * MINUTES)
def test_nothing_grows_and_every_minute_is_exact(
    scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under traffic, kills, restarts, other prices and rotated logs, memory, descriptors and files stay, and each minute's counts are exact."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings = FleetSettings.isolated(
        tmp_path / "fleet", app_replicas=3, worker_nodes=2, export_interval_ms=1000, drain_seconds=10, ready_seconds=600
    )
    fleet = SoakFleet(settings, SPARED)

    def say(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    with ExitStack() as stack:
        stack.callback(fleet.down)
        fleet.begin()
        say(f"\nThe fleet is up; seed {SEED}, {scale.minutes} times {scale.seconds:.0f} s.")
        soak = Soak(fleet, SEED, scale.deck, scale.look, say)
        soak.run(scale.minutes, scale.seconds, scale.cards)
        about = {"measured": datetime.now(UTC).date().isoformat(), "python": platform.python_version(), "seed": SEED}
        growth = {"growth": rows(soak.census, scale.way), "descriptors": descriptors(soak.census, scale.way)}
        found = {**about, **soak.found(), **growth}
    (tmp_path / "census.json").write_text(json.dumps(soak.census.readings()))
    say(f"\n{page.summary(found)}\n\n{page.growth(found)}\n\n{page.descriptors(found)}\n")
    if os.environ.get("SOAK_RESULT"):
        Path(os.environ["SOAK_RESULT"]).write_text(json.dumps(found, indent=2) + "\n")
    assert [minute.wrong for minute in soak.minutes if minute.differ] == []
    assert found["clients"] == []
    assert (soak.left, soak.fallen) == ([], [])
    assert [row for row in found["growth"] if row["verdict"] == "GROWS"] == []
