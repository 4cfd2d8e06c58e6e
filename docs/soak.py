"""The tables of ``docs/soak.md`` from what ``make soak`` stored; it measures nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from docs.markdown import table

UNKNOWN = "\N{EN DASH}"
RESULT = Path(__file__).parents[1] / "benchmarks" / "results" / "soak.json"


def _result() -> Any:
    return json.loads(RESULT.read_text())


def summary(found: Mapping[str, Any]) -> str:
    """What happened, and whether counts were exact."""
    return "\n".join(
        [_extent(found), "", *(f"* {line}" for line in (_cuts(found), _delays(found), _befell(found), _rest(found)))]
    )


def _extent(found: Mapping[str, Any]) -> str:
    last = found["minutes"][-1]
    about = f"Measured {found['measured']}, Python {found['python']}, seed {found['seed']}"
    counted = f"{last['requests']:,} requests, {last['events']:,} events counted by {found['processes']} processes"
    return f"{about}: {found['seconds'] / 60:.0f} minutes, {counted}."


def _cuts(found: Mapping[str, Any]) -> str:
    wrong = sum(minute["differ"] > 0 for minute in found["minutes"])
    exact = f"**{wrong} DIFFERED**" if wrong else "every sample of each was exact"
    last = found["minutes"][-1]
    flying = f"{last['in_flight']} events were under way when their process was killed"
    return f"{len(found['minutes'])} cuts: {exact}; the last one compared {last['samples']:,} samples. {flying}."


def _delays(found: Mapping[str, Any]) -> str:
    seconds = [minute["seconds"] for minute in found["minutes"]]
    took = f"{median(seconds):.1f} s after users held still (median), {max(seconds):.1f} s at most"
    return f"All that had been counted was on the collector's page {took}."


def _befell(found: Mapping[str, Any]) -> str:
    return f"What befell the fleet: {', '.join(f'{what} {count}' for what, count in found['befell'].items())}."


def _rest(found: Mapping[str, Any]) -> str:
    seen = "; ".join(found["clients"]) or "right"
    left = f"boxes left at the end: {found['boxes_left']}; series that Prometheus saw fall: {found['series_fallen']}"
    return f"Counts against what clients saw: {seen}; {left}."


def growth(found: Mapping[str, Any]) -> str:
    """What grows by how much."""
    head = ["", "unit", "slope", "first third", "last third", "added in an hour", "limit", "lives", "verdict"]
    return table(head, (_growth_row(row) for row in found["growth"]))


def _growth_row(row: Mapping[str, Any]) -> list[str]:
    slope = f"{row['per_hour']:+.2f} ± {row['error']:.2f}" if "per_hour" in row else UNKNOWN
    figures = [f"{row[name]:.1f}" if name in row else UNKNOWN for name in ("first", "last")]
    lives = str(row.get("lives", UNKNOWN))
    verdict = f"**{row['verdict']}**" if row["verdict"] == "GROWS" else row["verdict"]
    return [row["what"], row["unit"], row["kind"], *figures, slope, f"{row['limit']:g}", lives, verdict]


PARTS: Mapping[str, Callable[[], str]] = {
    "soak": lambda: summary(_result()),
    "growth": lambda: growth(_result()),
}
