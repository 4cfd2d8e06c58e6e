"""Can counts be kept in the state directory, and does anybody deliver for the dead?"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from telemetry.box.dead import look_at_dead
from telemetry.box.directory import DAMAGED, UnusableError, file_system, make_usable
from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity
from telemetry.pipeline.transport import target_of
from telemetry.settings.settings import Settings

_LEAST_SPACE = 16 * 1024 * 1024  # a dozen boxes of a usual service
_DELIVERED_WITHIN = 90.0  # the living look at each export, at most a minute apart, and take a moment

UNUSABLE = Cause(
    "state-unusable",
    "Counts cannot be kept in the state directory, so what a killed process counted is lost.",
    "set TELEMETRY_STATE_DIR to a local directory of this user alone (mode 700), best in memory",
)
SPACE = Cause(
    "state-full",
    "The state directory has hardly any space left.",
    "make room, or set TELEMETRY_STATE_DIR elsewhere; in a container give /dev/shm more (`--shm-size`)",
)
WAITING = Cause(
    "dead-undelivered",
    "Dead processes have left counts that nobody delivers.",
    "run `fleet-telemetry deliver` with the service's variables, or start a process of the service",
)
DAMAGED_BOXES = Cause(
    "box-damaged",
    "Counts of a process cannot be read and are lost.",
    "look for a full disk or a copied directory; delete the *.damaged files when you have seen them",
    severity=Severity.WARNING,
)


def _run(case: Case) -> Iterator[Finding]:
    if case.settings is None or not case.settings.exporters or not case.is_about_sending:
        return
    directory = case.settings.box_directory
    problem = _unusable(directory)
    if problem:
        yield UNUSABLE.found(f"{directory} cannot be used: {problem}", f"seen by user {os.geteuid()}")
        return
    yield from _space(directory)
    if directory.is_dir():
        yield from _left(directory, case.settings)


def _unusable(directory: Path) -> str:
    """Why; empty where it can be used. One that is not there is made by the first process, if that may."""
    if directory.exists() or directory.is_symlink():
        try:
            make_usable(directory)
        except UnusableError as error:
            return str(error)
        return "" if os.access(directory, os.W_OK | os.X_OK) else "this user cannot write there"
    above = next(parent for parent in directory.parents if parent.exists())
    if not above.is_dir():
        return f"{above} is not a directory"
    return "" if os.access(above, os.W_OK | os.X_OK) else f"it is not there, and this user cannot write in {above}"


def _space(directory: Path) -> Iterator[Finding]:
    there = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < _LEAST_SPACE:
        yield SPACE.found(f"{directory} has {free / 1024 / 1024:.1f} MiB left", f"file system: {file_system(there)}")


def _left(directory: Path, settings: Settings) -> Iterator[Finding]:
    damaged = sorted(path.name for path in directory.glob(f"*{DAMAGED}"))
    if damaged:
        yield DAMAGED_BOXES.found(f"{directory} has boxes that cannot be read: {len(damaged)}", *damaged[:3])
    dead = list(_dead(directory, target_of(settings)))
    if dead and "otlp" in settings.exporters:
        yield WAITING.found(f"dead processes have left counts in {directory}: {len(dead)}", *dead[:3])


def _dead(directory: Path, target: str) -> Iterator[str]:
    """Those whose counts go where this service's go, and that were left for longer than a delivery takes."""
    for box in look_at_dead(directory):
        age = time.time() - box.alive_at / 1e9
        if box.process.get("target") == target and age > _DELIVERED_WITHIN and not box.is_done():
            yield f"{box.path}: {age / 60:.0f} minutes ago"


CHECK = Check(
    name="state",
    asks="Can counts be kept in the state directory, and does anybody deliver for the dead?",
    causes=(UNUSABLE, SPACE, WAITING, DAMAGED_BOXES),
    run=_run,
)
