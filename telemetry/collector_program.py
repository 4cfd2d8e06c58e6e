"""Runs the collector that the extra ``collector`` brings, in place of this process; it supervises nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from telemetry.shipped import shipped

STATE_VARIABLE = "OTELCOL_STATE_DIR"
DURABLE = "otel-collector.durable.yaml"


class CollectorError(Exception):
    """The collector cannot be run like this; the message names the remedy."""


def run(configurations: Sequence[Path], state_directory: Path | None, arguments: Sequence[str]) -> NoReturn:
    """Become the collector.

    Args:
        configurations: Files that it reads, later ones over earlier ones; the shipped durable one where there is none.
        state_directory: Where the durable configuration keeps totals; ``OTELCOL_STATE_DIR`` where it is ``None``.
        arguments: What else the program is told.

    Raises:
        CollectorError: If there is no program, or no directory for what it keeps.
    """
    program = str(_program())
    environment = _environment(os.environ, state_directory, is_needed=not configurations)
    files = [f"--config={path}" for path in configurations or [shipped()[DURABLE]]]
    os.execve(program, [program, *arguments, *files], environment)  # noqa: S606 - no shell


def _program() -> Path:
    try:
        program: Callable[[], Path] = import_module("fleet_telemetry_collector").program
    except ModuleNotFoundError as error:
        raise CollectorError(
            "there is no collector here: pip install 'fleet-telemetry[collector]' brings one for Linux on x86_64 and "
            "aarch64. The official contrib distribution does as well, with another configuration: "
            "`fleet-telemetry files DIRECTORY`, then `otelcol-contrib --config DIRECTORY/otel-collector.yaml`"
        ) from error
    return program()


def _environment(variables: Mapping[str, str], state_directory: Path | None, *, is_needed: bool) -> dict[str, str]:
    if state_directory is not None:
        return {**variables, STATE_VARIABLE: str(state_directory)}
    if is_needed and not variables.get(STATE_VARIABLE):
        raise CollectorError(
            f"the collector keeps its totals in a directory that outlives it: name one, --state-directory "
            f"/var/lib/otelcol or {STATE_VARIABLE}=/var/lib/otelcol"
        )
    return dict(variables)
