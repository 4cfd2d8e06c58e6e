"""Writes ``grafana/dashboards/*.json``; ``--check`` only compares. Usage: ``python -m grafana.boards [--check]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards import application_performance, celery_monitoring, telemetry_health
from grafana.boards.panels import INPUT, Board, dashboard

FOLDER = Path(__file__).parent.parent / "dashboards"
BOARDS: tuple[Board, ...] = (celery_monitoring.BOARD, application_performance.BOARD, telemetry_health.BOARD)
_LEAST_GRAFANA = "10.1.0"  # the schema of the SDK in use


def render(board: Board) -> str:
    """The dashboard's file: Grafana's JSON model and the data source that an import asks for."""
    body: dict[str, Any] = json.loads(json.dumps(dashboard(board), cls=JSONEncoder))
    asked = {"name": INPUT, "label": "Prometheus", "type": "datasource", "pluginId": "prometheus"}
    for variable in body["templating"]["list"]:
        del variable["id"]  # the SDK gives all the same one, and a Grafana before 11.3 keys variables by it
    kinds = sorted({panel["type"] for panel in body["panels"]} - {"row"})
    requires = [
        {"type": "grafana", "id": "grafana", "name": "Grafana", "version": _LEAST_GRAFANA},
        {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        *({"type": "panel", "id": kind, "name": kind, "version": ""} for kind in kinds),
    ]
    whole = {"__inputs": [asked | {"pluginName": "Prometheus"}], "__requires": requires, **body}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def main(check: bool) -> int:
    """Write, or compare, every dashboard."""
    files = {FOLDER / f"{board.uid}.json": render(board) for board in BOARDS}
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in FOLDER.glob("*.json") if path not in files]
    if check:
        if stale:
            names = ", ".join(sorted(path.name for path in stale))
            sys.stderr.write(f"not up to date in grafana/dashboards: {names}; run `make dashboards`\n")
        return 1 if stale else 0
    for path in stale:
        if path in files:
            path.write_text(files[path])
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
