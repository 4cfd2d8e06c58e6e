"""What the collector program at hand can do: ours has the components of `collector/`. It runs only `components`."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from deploy.settings import ROOT

DURABLE = ROOT / "otel-collector.durable.yaml"
OFFICIAL = ROOT / "otel-collector.yaml"
_SECURE = {DURABLE: ROOT / "otel-collector.durable.secure.yaml", OFFICIAL: ROOT / "otel-collector.secure.yaml"}


@cache
def is_ours(path: str) -> bool:
    """Whether it keeps totals durably; one that is not there will, once it is installed."""
    try:
        done = subprocess.run([path, "components"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return True
    return "fleet_totals" in done.stdout


def configuration(path: str) -> Path:
    """The configuration that the program can run."""
    return DURABLE if is_ours(path) else OFFICIAL


def configurations(path: str, *, secure: bool) -> list[Path]:
    """The same, and behind TLS and tokens the one that is laid over it."""
    first = configuration(path)
    return [first, _SECURE[first]] if secure else [first]


def limitation(path: str) -> str | None:
    """What is not promised with this program, as a sentence, or nothing."""
    if is_ours(path):
        return None
    return (
        f"{path} has not the components of collector/, so it runs {OFFICIAL.name}: totals end with the collector, "
        "and an export whose answer is lost may count twice. Leave OTELCOL out to have the durable one built."
    )
