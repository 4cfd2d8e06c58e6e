"""The files that follow from a file of objectives, by their names below the directory of ``fleet-telemetry files``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from telemetry.objectives.dashboard import TAG, dashboard
from telemetry.objectives.declared import Objective
from telemetry.objectives.rules import group
from telemetry.objectives.runbooks import pages
from telemetry.runbooks import RUNBOOKS

_PAGES = "docs/runbooks"
_HEAD = "# Written by `fleet-telemetry objectives` from {source}; edit there.\n"
_MARKS = {".yaml": _HEAD.partition("{")[0], ".md": "The objective is declared in `", ".json": f'"{TAG}"'}


def files(objectives: Sequence[Objective], source: Path, runbooks: str = RUNBOOKS) -> dict[str, str]:
    """Text by name: rules, a dashboard and a runbook for each alert.

    Args:
        objectives: What is declared.
        source: Where; rules and dashboard have its name.
        runbooks: Where their pages are, as `runbooks.page` takes it.
    """
    written = {
        f"grafana/alerts/{source.stem}.yaml": _HEAD.format(source=source.name) + rules(objectives, runbooks),
        f"grafana/dashboards/{source.stem}.json": _dashboard(objectives, source.stem, runbooks),
    }
    texts = (page for objective in objectives for page in pages(objective).items())
    return written | {f"{_PAGES}/{alert}.md": text for alert, text in texts}


def also_recorded(objectives: Sequence[Objective], directory: Path, source: Path) -> list[str]:
    """Sentences on objectives that other rule files of the directory have: two rules would record one series."""
    folder = directory / "grafana" / "alerts"
    others = {path: path.read_text(errors="replace") for path in folder.glob("*.yaml") if path.stem != source.stem}
    return [
        f"{objective.name} is in {path} as well, and two rules would record one series: rename it, or change it there"
        for objective in objectives
        for path, text in others.items()
        if f"record: {objective.series('')}" in text
    ]


def is_written(path: Path) -> bool:
    """Whether a file was made of objectives before; what was changed in it by hand is lost when it is made anew."""
    return _MARKS[path.suffix] in path.read_text(errors="replace")


def rules(objectives: Sequence[Objective], runbooks: str = RUNBOOKS) -> str:
    """A rule file."""
    groups = [group(objective, runbooks) for objective in objectives]
    return yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000, allow_unicode=True)


def _dashboard(objectives: Sequence[Objective], stem: str, runbooks: str) -> str:
    model = dashboard(objectives, stem, stem.replace("_", " ").replace("-", " ").capitalize(), runbooks)
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"
