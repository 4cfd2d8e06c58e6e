"""What happened to tasks and what was counted as a table for `docs/celery.md`; it measures nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROWS = Path(__file__).parents[3] / "docs" / "celery"


WORKERS = {
    "steady": "two processes that live long",
    "recycled": "a process for each task",
    "grown": "a process until its memory limit",
}


def outcomes() -> str:
    """The rows that `make celery-page` measured, a column for each kind of worker."""
    columns = [json.loads((ROWS / f"{name}.json").read_text()) for name in WORKERS]
    head = ["Event", "Where its end is counted", "Truth", *(f"Counted, {worker}" for worker in WORKERS.values())]
    rows = [
        [
            of_each[0]["event"],
            of_each[0]["where"],
            _counts(of_each[0]["truth"], of_each[0]["reason"]),
            *map(_verdict, of_each),
        ]
        for of_each in zip(*columns, strict=True)
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def _counts(counts: dict[str, float], reason: str | None) -> str:
    return ", ".join(
        f"{count:g} {kind}" + (f" (`{reason}`)" if kind == "dropped" else "") for kind, count in counts.items()
    )


def _verdict(row: dict[str, Any]) -> str:
    if row["counted"] == row["truth"]:
        return "exact"
    return f"**{_counts(row['counted'], row['reason'])}**"
