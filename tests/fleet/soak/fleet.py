"""The fleet that tells the truth, with pools that recycle and restart, prices of its own, and a little less around it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from deploy.processes import Process
from deploy.settings import FleetSettings
from support.waiting import eventually
from tests.fleet.chaos.fleet import ChaosFleet

STAGES = ("redis", "collector", "simulated-llm", "app", "workers", "beat", "prometheus", "nginx")
TASKS_PER_CHILD = 25
_APPLICATION = "tests.fleet.soak.application:celery_app"
_PRICED = """[[prices]]
provider = "openai"
model = "*"
input = {input}
output = {output}
"""


class SoakFleet(ChaosFleet):
    """What is killed and restarted for an hour.

    Args:
        settings: Its settings.
        spared: Processes that live from the beginning to the end, by name: what they leak shows.
    """

    def __init__(self, settings: FleetSettings, spared: Iterable[str]) -> None:
        super().__init__(settings, settings.url("OTELCOL_HTTP_PORT"))
        self.spared = frozenset(spared)
        self._prices = settings.fleet_dir / "prices.toml"
        self._more |= {"TELEMETRY_LLM_PRICES": str(self._prices)}
        self._strangers: set[str] = set()
        self.price(1.0)

    def begin(self) -> None:
        """Start all of it that counts."""
        self._strangers = set(_names(self.settings.boxes))
        self.up(STAGES)

    def boxes_left(self) -> list[str]:
        """What its processes left behind and nobody delivered; what was there before is another fleet's."""
        return [name for name in _names(self.settings.boxes) if name not in self._strangers]

    def price(self, dollars: float) -> None:
        """Write other prices, as a whole file; who starts from now on reads them."""
        new = self._prices.with_suffix(".new")
        new.write_text(_PRICED.format(input=dollars, output=4 * dollars))
        new.rename(self._prices)

    def roll(self, stage: str) -> None:
        """Restart the processes of a stage one after the other, each when the one before is ready again."""
        for process in self.processes():
            if process.stage == stage and process.name not in self.spared:
                self.stop_process(process.name)
                self.start_process(process.name)

    def rotate_logs(self) -> None:
        """Rename every log and have the manager open new ones, as logrotate does.

        Raises:
            TimeoutError: If one is not there again.
        """
        logs = [path for path in self.settings.logs.glob("*.log") if path.stem in {*STAGES, *self.states()}]
        for path in logs:
            path.rename(path.with_suffix(".log.rotated"))
        os.kill(int((self.settings.run / "supervisord.pid").read_text()), signal.SIGUSR2)
        if not eventually(lambda: all(path.exists() for path in logs)):
            raise TimeoutError(
                f"these logs are not written any more: {[path.name for path in logs if not path.exists()]}"
            )

    def _changed(self, process: Process) -> Process:
        changed = super()._changed(process)
        if process.stage not in {"workers", "beat"}:
            return changed
        command = [
            _APPLICATION if part.startswith(("worker.", "tests.fleet.chaos")) else part for part in changed.command
        ]
        if process.stage == "workers":
            command += [f"--max-tasks-per-child={TASKS_PER_CHILD}"]
        return replace(changed, command=tuple(command))


def _names(boxes: Path) -> list[str]:
    return sorted(path.name for path in boxes.iterdir()) if boxes.exists() else []
