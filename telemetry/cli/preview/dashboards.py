"""Finds and reads dashboard files as Grafana exports or provisions them; what they mean is the page's business."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telemetry.shipped import Choices, shipped

_OWN_RUNBOOKS = Choices(runbooks="/docs/runbooks")  # this server has them


class DashboardError(ValueError):
    """A file is no dashboard, or there is none; the message names it and says what to do."""


@dataclass(frozen=True)
class Dashboard:
    """One file.

    Attributes:
        uid: What its address ends with.
        title: What people see.
        content: All of it.
    """

    uid: str
    title: str
    content: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """What lists and links of other dashboards show of it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.content.get("description", ""),
            "tags": self.content.get("tags", []),
        }


def load(paths: Iterable[Path] = ()) -> dict[str, Dashboard]:
    """Dashboards by uid.

    Args:
        paths: Files and directories, which are searched in depth; the package's own dashboards if there are none.

    Raises:
        DashboardError: If one cannot be read, or none is found.
    """
    found = [_read(file) for file in _files(paths)] or list(map(_read, _own()))
    if not found:
        raise DashboardError("there is no dashboard: --dashboards takes files and directories of Grafana's JSON")
    return {dashboard.uid: dashboard for dashboard in found}


def _own() -> Iterator[Path]:
    return (file for name, file in shipped().items() if name.startswith("grafana/dashboards/"))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise DashboardError(f"--dashboards: there is no {path}")
        below = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not below:
            raise DashboardError(f"--dashboards: {path} has no file *.json")
        yield from below


def _read(file: Path) -> Dashboard:
    try:
        content = json.loads(_OWN_RUNBOOKS.applied(file.read_text()))
    except (OSError, ValueError) as error:
        raise DashboardError(f"{file} cannot be read as JSON: {error}") from None
    # Grafana's API wraps what its interface exports.
    content = content.get("dashboard", content) if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(content.get("panels"), list):
        raise DashboardError(f"{file} is no dashboard of Grafana: it has no list `panels`")
    uid = str(content.get("uid") or file.stem)
    return Dashboard(uid, str(content.get("title") or uid), content)
