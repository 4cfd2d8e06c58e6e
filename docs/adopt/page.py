"""Launcher by launcher what was sent to the examples and what was counted, for `docs/adopt.md`; it measures nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.markdown import table

ROWS = Path(__file__).parent / "rows.json"
FORMS = ("variables only", "lines")


def launchers() -> str:
    """What `make adopt-page` counted, a column for each form."""
    rows: list[dict[str, Any]] = json.loads(ROWS.read_text())
    cells = {(row["example"], row["launcher"], row["what"], row["form"]): row for row in rows}
    keys = dict.fromkeys((row["example"], row["launcher"], row["what"]) for row in rows)
    head = ["Example", "Launcher", "What", *(f"{form}: sent, counted" for form in FORMS)]
    return table(
        head,
        [
            [e, f"`{launcher}`", what, *(_cell(cells.get((e, launcher, what, f))) for f in FORMS)]
            for e, launcher, what in keys
        ],
    )


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "not measured"
    counts = f"{row['sent']}, {row['counted']}"
    return f"{counts}, exact" if row["exact"] else f"**{counts}**"
