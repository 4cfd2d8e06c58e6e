"""Imports an application in a process of its own and asks which of its parts are measured.

Its own, because an import may print, hang, fork or end its process; nothing it counts there leaves it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SECONDS = 7.0


@dataclass(frozen=True)
class Application:
    """What the import shows.

    Attributes:
        failure: Why there is no such application: ``import``, ``attribute``, ``slow``; empty where there is.
        says: What Python said, where it failed.
        is_configured: Whether ``telemetry.configure()`` was called.
        unmeasured: What is not measured, by its domain, as people know it.
        measured: What is.
        routes: How many routes it has, those of its documentation left out.
        excluded: How many of them no request is counted of.
        broken: What hooks rely on in the libraries it has loaded, and these do not have.
    """

    failure: str = ""
    says: str = ""
    is_configured: bool = False
    unmeasured: Mapping[str, list[str]] = field(default_factory=dict)
    measured: Mapping[str, list[str]] = field(default_factory=dict)
    routes: int = 0
    excluded: int = 0
    broken: Sequence[str] = ()


def imported(target: str) -> Application:
    """Import ``module:attribute`` as its server would, from the working directory."""
    command = [sys.executable, "-m", "telemetry.cli.doctor.inside", target]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, env=_environment(), capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Application(failure="slow")
    try:
        said: dict[str, Any] = json.loads(done.stdout.rpartition("\n")[2])
    except ValueError:
        return Application(failure="import", says=_last_line(done.stderr) or f"it ends with status {done.returncode}")
    return Application(**said)


def _environment() -> dict[str, str]:
    """That of this process, but nothing is exported; an instrumented one instruments the other, too."""
    instrumented = "opentelemetry.instrumentation.auto_instrumentation.sitecustomize" in sys.modules or any(
        name == "sitecustomize" and "auto_instrumentation" in str(getattr(module, "__file__", ""))
        for name, module in list(sys.modules.items())
    )
    return {
        **os.environ,
        "OTEL_METRICS_EXPORTER": "none",
        "TELEMETRY_DOCTOR_INSTRUMENTS": "1" if instrumented else "",
    }


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
