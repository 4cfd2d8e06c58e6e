"""A fleet that tells the truth, lives by the test's clock and reaches its collector through the test's proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy.fleet import Fleet
from deploy.manager import State
from deploy.processes import Process
from deploy.settings import ROOT, FleetSettings
from tests.fleet.chaos import clock, truth

EXPORT_TIMEOUT = "2"
_SENDERS = {"app", "workers", "beat"}


class ChaosFleet(Fleet):
    """The fleet users run, with four variables more.

    Args:
        settings: Its settings.
        endpoint: Where its processes export to.

    Attributes:
        truth: What its processes say they counted.
        clock: Their clock.
    """

    def __init__(self, settings: FleetSettings, endpoint: str) -> None:
        super().__init__(settings, say=lambda line: None)
        self.truth = settings.fleet_dir / "truth"
        self.truth.mkdir(parents=True)
        self.clock = clock.Clock(settings.fleet_dir / "clock")
        self._more = {
            "PYTHONPATH": f"{Path(__file__).parent / 'injected'}:{ROOT}",
            truth.DIRECTORY: str(self.truth),
            clock.FILE: str(settings.fleet_dir / "clock"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_TIMEOUT": EXPORT_TIMEOUT,
        }

    def processes(self) -> list[Process]:
        """Every process of the fleet, in order of start."""
        return [self._changed(process) for process in super().processes()]

    def _changed(self, process: Process) -> Process:
        if process.stage not in _SENDERS:
            return process
        command = process.command
        if process.name == "beat":
            command = tuple(
                "tests.fleet.chaos.beat:celery_app" if part.startswith("worker.") else part for part in command
            )
        return replace(process, command=command, environment={**process.environment, **self._more})

    def environment(self) -> dict[str, str]:
        """What the fleet's own programs get."""
        return {**super().environment(), **self._more}

    def states(self) -> Mapping[str, State]:
        """Every process as the manager knows it."""
        return self._manager.states()
