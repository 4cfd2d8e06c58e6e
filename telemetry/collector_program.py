"""Runs the collector that the extra ``collector`` brings, in place of this process; it supervises nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from telemetry.shipped import shipped

STATE_VARIABLE = "OTELCOL_STATE_DIR"
DURABLE = "otel-collector.durable.yaml"
SECURE = "otel-collector.durable.secure.yaml"


class CollectorError(Exception):
    """The collector cannot be run like this; the message names the remedy."""


def run(
    configurations: Sequence[Path], state_directory: Path | None, arguments: Sequence[str], *, secure: bool = False
) -> NoReturn:
    """Become the collector.

    Args:
        configurations: Files that it reads, later ones over earlier ones; the shipped durable one where there is none.
        state_directory: Where the durable configuration keeps totals; ``OTELCOL_STATE_DIR`` where it is ``None``.
        arguments: What else the program is told.
        secure: Whether the shipped configuration for TLS and tokens is laid over it.

    Raises:
        CollectorError: If there is no program, no directory for what it keeps, or a file of its secrets is missing.
    """
    program = str(_program())
    environment = _environment(os.environ, state_directory, is_needed=not configurations)
    paths = [*(configurations or [shipped()[DURABLE]]), *([_secured(environment)] if secure else [])]
    files = [f"--config={path}" for path in paths]
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


_SECRETS = {
    "OTELCOL_TLS_CERT": "the collector's certificate",
    "OTELCOL_TLS_KEY": "the key of its certificate",
    "OTELCOL_TOKENS": "the tokens of senders",
    "OTELCOL_SCRAPE_TOKENS": "the tokens of readers",
}
"""Variables of the secure configuration whose file has to be there; it has a default for each."""
_OPTIONAL = {"OTELCOL_TLS_CLIENT_CA": "the authority of senders and readers"}


def _secured(variables: Mapping[str, str]) -> Path:
    """The configuration, once all that it needs is there."""
    path = shipped()[SECURE]
    defaults = dict(re.findall(r"\$\{env:(\w+):-([^}]*)\}", path.read_text()))
    wrong = []
    for name, what in {**_SECRETS, **_OPTIONAL}.items():
        file = variables.get(name) or defaults.get(name, "")
        if (file or name in _SECRETS) and not os.access(file, os.R_OK):
            said = "" if variables.get(name) else " (its default)"
            wrong.append(f"{name}={file}{said} cannot be read: set it to the file of {what}")
    if wrong:
        raise CollectorError("; ".join(wrong) + "; docs/security.md makes them")
    return path


def _environment(variables: Mapping[str, str], state_directory: Path | None, *, is_needed: bool) -> dict[str, str]:
    if state_directory is not None:
        return {**variables, STATE_VARIABLE: str(state_directory)}
    if is_needed and not variables.get(STATE_VARIABLE):
        raise CollectorError(
            f"the collector keeps its totals in a directory that outlives it: name one, --state-directory "
            f"/var/lib/otelcol or {STATE_VARIABLE}=/var/lib/otelcol"
        )
    return dict(variables)
