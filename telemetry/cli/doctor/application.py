"""Imports an application in a process of its own and asks which of its parts are measured.

Its own, because an import may print, hang, fork or end its process; nothing it counts there leaves it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IMPORT_SECONDS = 8.0
"""How long an import is waited for that computes, unless more was asked for."""
_IDLE = 6.0  # seconds; one that waits this long for something else hangs
_BETWEEN_LOOKS = 0.05


@dataclass(frozen=True)
class Application:
    """What the import shows.

    Attributes:
        failure: Why there is no such application: ``import``, ``attribute``, ``hangs``, ``slow``; empty where there is.
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


def imported(target: str, seconds: float = IMPORT_SECONDS) -> Application:
    """Import ``module:attribute`` as its server would, from the working directory.

    Args:
        target: The application.
        seconds: How long the import may take.
    """
    command = [sys.executable, "-m", "telemetry.cli.doctor.inside", target]
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=_environment(), stdout=answer, stderr=errors)  # noqa: S603 - our own
        try:
            failure = _awaited(process, seconds)
            if failure:
                return Application(failure=failure)
        finally:
            process.kill()
            process.wait()
        answer.seek(0)
        errors.seek(0)
        return _told(answer.read(), errors.read(), process.returncode)


def _awaited(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Nothing once it has ended; ``hangs`` if it waits without computing, ``slow`` if it takes too long."""
    began = moved = time.monotonic()
    used = 0.0
    while process.poll() is None:
        now, uses = time.monotonic(), _processor_seconds(process.pid)
        if uses - used > _BETWEEN_LOOKS:
            used, moved = uses, now
        if now - moved > _IDLE:
            return "hangs"
        if now - began > seconds:
            return "slow"
        time.sleep(_BETWEEN_LOOKS)
    return ""


def _processor_seconds(pid: int) -> float:
    """What it has used of a processor so far; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _told(answer: str, errors: str, status: int) -> Application:
    try:
        said: dict[str, Any] = json.loads(answer.rpartition("\n")[2])
    except ValueError:
        return Application(failure="import", says=_last_line(errors) or f"it ends with status {status}")
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
