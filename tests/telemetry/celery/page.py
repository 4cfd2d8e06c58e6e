"""What happened to tasks and what was counted as a table for `docs/celery.md`; it measures nothing."""

from __future__ import annotations

import json
from pathlib import Path

from docs.markdown import table
from tests.telemetry.celery.scenarios import SCENARIOS, Counts, Scenario

ROWS = Path(__file__).parents[3] / "docs" / "celery"
WORKERS = {
    "steady": "two processes that live long",
    "recycled": "a process for each task",
    "grown": "a process until its memory limit",
}


def outcomes() -> str:
    """What `make celery-page` counted, a column for each kind of worker."""
    counted = [json.loads((ROWS / f"{name}.json").read_text()) for name in WORKERS]
    head = ["Event", "Where its end is counted", "Truth", *(f"Counted, {worker}" for worker in WORKERS.values())]
    rows = [
        [s.event, s.where, _counts(s.truth, s.reason), *(_verdict(s, of_worker[s.task]) for of_worker in counted)]
        for s in SCENARIOS
    ]
    return table(head, rows)


def _counts(counts: Counts, reason: str | None) -> str:
    return ", ".join(
        f"{count:g} {kind}" + (f" (`{reason}`)" if kind == "dropped" else "") for kind, count in counts.items()
    )


def _verdict(scenario: Scenario, counted: Counts) -> str:
    return "exact" if counted == scenario.truth else f"**{_counts(counted, scenario.reason)}**"
