"""Rows of the accuracy suite as tables for `docs/accuracy.md`; it measures nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.markdown import table

ROWS = Path(__file__).parents[2] / "docs" / "accuracy"


def measured(name: str) -> str:
    """The rows that `make accuracy-page` measured, one table."""
    rows = json.loads((ROWS / name).read_text())
    with_system = any(row["system"] for row in rows)
    head = ["Scenario", "What", "Truth", "Counted", "Verdict"]
    lines = [[*([row["system"]] if with_system else []), *_cells(row)] for row in rows]
    if with_system:
        head.insert(0, "System")
        lines.sort(key=lambda line: line[1])
    return table(head, lines)


def _cells(row: dict[str, Any]) -> list[str]:
    verdict = f"**{row['verdict']}**" if row["verdict"] == "WRONG" else row["verdict"]
    return [row["scenario"], row["what"], f"{row['truth']:.6g}", f"{row['counted']:.6g}", verdict]
