"""What happened to tasks and what was counted as a table for `docs/celery.md`; it measures nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from docs.markdown import table

Counts: TypeAlias = dict[str, float]

FOLDER = Path(__file__).parent
WORKERS = {
    "steady": "two processes that live long",
    "recycled": "a process for each task",
    "grown": "a process until its memory limit",
}


@dataclass(frozen=True)
class Happening:
    """Something that happens to a task, and the truth about it, as `scenarios.json` has it.

    Attributes:
        task: The task it happens to.
        event: What happens, in words.
        where: Which process counts it, and on what occasion; submissions are counted where they are published.
        truth: How often it was submitted, completed, failed, retried or dropped.
        reason: Why it was dropped.
    """

    task: str
    event: str
    where: str
    truth: Counts
    reason: str | None = None


def happenings() -> list[Happening]:
    """Everything that the tests let happen to tasks."""
    return [Happening(**entry) for entry in _read("scenarios")]


def outcomes() -> str:
    """What `make celery-page` counted, a column for each kind of worker."""
    counted = [_read(name) for name in WORKERS]
    head = ["Event", "Where its end is counted", "Truth", *(f"Counted, {worker}" for worker in WORKERS.values())]
    rows = [
        [h.event, h.where, _counts(h.truth, h.reason), *(_verdict(h, of_worker[h.task]) for of_worker in counted)]
        for h in happenings()
    ]
    return table(head, rows)


def _read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def _counts(counts: Counts, reason: str | None) -> str:
    return ", ".join(
        f"{count:g} {kind}" + (f" (`{reason}`)" if kind == "dropped" else "") for kind, count in counts.items()
    )


def _verdict(happening: Happening, counted: Counts) -> str:
    return "exact" if counted == happening.truth else f"**{_counts(counted, happening.reason)}**"
