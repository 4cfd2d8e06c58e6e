"""The secrets of a fleet: made up at its first start, kept in one private file, never in a command line or a log."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_NAMES = ("ADMIN_TOKEN", "FLOWER_USER", "FLOWER_PASSWORD", "SIMULATED_LLM_API_KEY", "GRAFANA_PASSWORD")


def load_or_create(path: Path) -> dict[str, str]:
    """Return the fleet's secrets; those that the file does not have yet are made and added to it."""
    known = _read(path)
    missing = {name: _make(name) for name in _NAMES if name not in known}
    if missing:
        _write(path, known | missing)
    return known | missing


def _make(name: str) -> str:
    return "admin" if name == "FLOWER_USER" else secrets.token_urlsafe(24)


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = [line.strip() for line in path.read_text().splitlines()]
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _write(path: Path, values: dict[str, str]) -> None:
    """Write a new file and move it into place, private from its first byte."""
    text = "# Made at the fleet's first start. Delete this file to get new ones.\n"
    text += "".join(f"{name}={value}\n" for name, value in values.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
