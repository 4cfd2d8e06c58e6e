"""Writes ``grafana/dashboards/*.json``; ``--check`` only compares. Usage: ``python -m grafana.boards [--check]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import VariableHide

from grafana.boards import application_performance, celery_monitoring, telemetry_health
from grafana.boards.board import Board, dashboard
from grafana.boards.variables import INPUTS
from support.generated import settle

FOLDER = Path(__file__).parent.parent / "dashboards"
BOARDS: tuple[Board, ...] = (celery_monitoring.BOARD, application_performance.BOARD, telemetry_health.BOARD)
BOUNDED = {"sizing": "manual", "maxVizHeight": 60, "namePlacement": "top"}
"""Options of a bar gauge beyond the SDK's schema; a Grafana before 10.3 leaves them out."""
_LEAST_GRAFANA = "10.1.0"  # the schema of the SDK in use


def render(board: Board) -> str:
    """The dashboard's file: Grafana's JSON model and what an import asks for."""
    body: dict[str, Any] = json.loads(json.dumps(dashboard(board), cls=JSONEncoder))
    for variable in body["templating"]["list"]:
        _correct_variable(variable)
    panels = [panel for row in body["panels"] for panel in (row, *row.get("panels", ()))]
    for panel in panels:
        if panel["type"] == "bargauge":
            panel["options"] |= BOUNDED
    requires = [
        {"type": "grafana", "id": "grafana", "name": "Grafana", "version": _LEAST_GRAFANA},
        {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        *({"type": "panel", "id": kind, "name": kind, "version": ""} for kind in _kinds(panels)),
    ]
    return json.dumps({"__inputs": INPUTS, "__requires": requires, **body}, indent=2, ensure_ascii=False) + "\n"


def _correct_variable(variable: dict[str, Any]) -> None:
    """What the SDK's builders leave to their defaults."""
    del variable["id"]  # the same for all, and a Grafana before 11.3 keys variables by it
    variable["skipUrlSync"] = variable["hide"] == VariableHide.HIDE_VARIABLE  # links to neighbours leave theirs alone


def _kinds(panels: list[dict[str, Any]]) -> list[str]:
    return sorted({panel["type"] for panel in panels} - {"row"})


def main(check: bool) -> int:
    """Write, or compare, every dashboard."""
    files = {FOLDER / f"{board.uid}.json": render(board) for board in BOARDS}
    strays = [path for path in FOLDER.glob("*.json") if path not in files]
    return settle(files, strays, check=check, remedy="make dashboards")


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
