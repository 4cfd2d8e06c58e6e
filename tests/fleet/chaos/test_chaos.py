"""The whole claim at once: whatever is killed, every total is what the fleet counted, and no total ever falls."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.processes import PYTHON
from deploy.settings import ROOT, FleetSettings
from support.exposition import scrape
from support.waiting import eventually
from tests.fleet.chaos import asked, compared
from tests.fleet.chaos.faults import Disk, Fates, Weather
from tests.fleet.chaos.fleet import ChaosFleet
from tests.fleet.chaos.killer import Killer
from tests.fleet.chaos.watcher import Watcher
from tests.support.beside import beside
from tests.support.flaky_proxy import FlakyProxy

ENVIRONMENT = {
    "SIMULATED_LLM_SPEED": "50",
    "FACTS_INTERVAL_SECONDS": "2",
    "TASK_RETRY_BACKOFF_SECONDS": "0.2",
    "LLM_TIMEOUT_SECONDS": "3",
}
SEED = int(os.environ.get("CHAOS_SEED", "14"))


@dataclass(frozen=True)
class Scale:
    """How much is killed.

    Attributes:
        kills: How many processes.
        seconds: They are within this time.
        pause: Seconds between two of them, at most.
        calm: Seconds between two full disks, at most.
    """

    kills: int
    seconds: float
    pause: float
    calm: float


SHORT = Scale(40, 300, 0.8, 12)
LONG = Scale(int(os.environ.get("CHAOS_KILLS", "1000")), 3600, 1.0, 45)


@pytest.fixture(params=[SHORT, pytest.param(LONG, marks=pytest.mark.chaos)], ids=["short", "long"])
def scale(request: pytest.FixtureRequest) -> Scale:
    """The short form in every run, the long one in `make test-chaos`."""
    made: Scale = request.param
    return made


@contextmanager
def traffic(fleet: ChaosFleet) -> Iterator[None]:
    """Users act for the length of a block; what they are answered is not looked at."""

    def act(over: threading.Event) -> None:
        seed = SEED
        while not over.is_set():
            seed += 1
            command = [PYTHON, "-m", "deploy.traffic", "--base-url", fleet.settings.url("NGINX_PORT")]
            process = subprocess.Popen(
                [*command, "--seconds", "3600", "--seed", str(seed)],
                cwd=ROOT,
                env={**os.environ, "ADMIN_TOKEN": fleet.secrets()["ADMIN_TOKEN"]},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while process.poll() is None and not over.wait(0.2):
                pass
            process.kill()
            process.wait()

    with beside(act):
        yield


def _deliver(fleet: ChaosFleet) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "telemetry", "deliver", "--timeout", "60"]
    return subprocess.run(
        command, cwd=ROOT, env=fleet.environment(), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.timeout(4500)
def test_every_total_is_what_was_counted(
    scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Collector, replicas, workers, their children and beat are killed under traffic and faults; nothing is lost."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings = FleetSettings.isolated(
        tmp_path / "fleet",
        app_replicas=2,
        worker_nodes=2,
        worker_concurrency=2,
        export_interval_ms=500,
        scrape_seconds=1,
        drain_seconds=10,
    )
    disk = Disk(settings.data / "collector") if os.getuid() == 0 else None
    proxy, fates = FlakyProxy(settings.url("OTELCOL_HTTP_PORT")), Fates(SEED)
    fleet = ChaosFleet(settings, proxy.endpoint)
    watcher = Watcher(settings.url("OTELCOL_TOTALS_PORT", "/metrics"))

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}")

    killer = Killer(fleet, scale.kills, SEED, scale.pause, say)
    weather = Weather(disk, fleet.clock, SEED, scale.calm)
    if disk is None:
        say("only root can mount a disk that is small enough to be filled: none is full in this run")
    with ExitStack() as stack:
        stack.callback(proxy.close)
        if disk is not None:
            stack.enter_context(disk.mounted())
        stack.callback(fleet.down)
        fleet.up()
        with watcher.watching():
            proxy.mode = fates
            with traffic(fleet), weather.blowing():
                killer.run(time.monotonic() + scale.seconds)
            proxy.mode = "pass"
            for name in ("nginx", "beat", "worker1", "worker2", "app-1", "app-2"):
                fleet.stop_process(name)
            delivered = _deliver(fleet)
            assert delivered.returncode == 0, delivered.stdout + delivered.stderr
        left = sorted(path.name for path in settings.boxes.iterdir())
        page = scrape(settings.url("OTELCOL_TOTALS_PORT", "/metrics"))
        wrong, samples = compared.differences(fleet.truth, page)
        total = sum(value for (name, _), value in page.items() if name == "http_requests_total")
        prometheus = settings.url("PROMETHEUS_PORT")
        seen = eventually(lambda: asked.requests(prometheus) == total)
        resets = asked.resets(prometheus, {name for name, _ in page}, scale.seconds + 600)
        say(
            f"seed {SEED}: {dict(killer.killed)} killed; exports: {dict(fates.given)}; {dict(weather.events)}; "
            f"{samples} samples of {total:g} requests compared, {compared.in_flight(fleet.truth)} events were in flight at a "
            f"kill; {watcher.pages} pages seen, {watcher.refused} refused\n"
        )
    assert seen
    assert wrong == []
    assert watcher.wrong == []
    assert resets == []
    assert left == []
    assert killer.killed.total() >= scale.kills
