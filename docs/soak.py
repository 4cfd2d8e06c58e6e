"""The tables of ``docs/soak.md`` from what ``make soak`` and ``benchmarks/`` stored; it measures nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from docs.markdown import table

UNKNOWN = "\N{EN DASH}"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def _result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


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


def descriptors(found: Mapping[str, Any]) -> str:
    """What the descriptors are of who lived longest."""
    rows = (
        [row["what"], row["kind"], f"{row['first']:.1f}", f"{row['last']:.1f}"] for row in found.get("descriptors", ())
    )
    return table(["", "its descriptors", "first third", "last third"], rows)


def backpressure(found: Mapping[str, Any]) -> str:
    """What a service feels of each trouble."""
    head = ["trouble", "p99 without, ms", "p99 with it, ms", "ratio", "95 of 100 are within", "felt"]
    rows = (
        [
            name,
            f"{row['p99_ms_without']:.1f}",
            f"{row['p99_ms_with']:.1f}",
            f"{row['ratio']:.2f}",
            f"{row['least']:.2f} to {row['most']:.2f}",
            _felt(row),
        ]
        for name, row in found["troubles"].items()
    )
    pairs = next(iter(found["troubles"].values()))["pairs"]
    turns = f"{found['crews']} crews, {pairs} pairs of {found['seconds']} s for each trouble"
    return f"{_about(found)}; {turns}.\n\n{table(head, rows, numbers=True)}"


def _felt(row: Mapping[str, float]) -> str:
    return "**yes**" if row["least"] > 1 else "no"


def recovery(found: Mapping[str, Any]) -> str:
    """What came before an outage and after it."""
    kinds = {
        "requests a second": "requests_per_second",
        "most requests in a second": "most_in_a_second",
        "most points of an export": "most_points",
        "largest export, kB": "most_kilobytes",
        "p99 of the service, ms": "p99_ms",
    }
    head = [f"{found['senders']} processes, an export every {found['interval']:g} s", "before", "after"]
    rows = [[what, *(f"{found[when][name]:g}" for when in ("before", "after"))] for what, name in kinds.items()]
    away = f"Away for {found['outage']:g} s; its p99 meanwhile was {found['p99_ms_outage']:g} ms"
    counts = f"{found['events']:,} events were counted, {found['shown']:,} are shown"
    caught_up = f"Every process had delivered {found['caught_up_after_s']:g} s after it was back; {counts}."
    return f"{_about(found)}. {away}.\n\n{table(head, rows, numbers=True)}\n\n{caught_up}"


def _about(found: Mapping[str, Any]) -> str:
    return f"Measured {found['measured']}, Python {found['python']}"


PARTS: Mapping[str, Callable[[], str]] = {
    "soak": lambda: summary(_result("soak")),
    "growth": lambda: growth(_result("soak")),
    "descriptors": lambda: descriptors(_result("soak")),
    "backpressure": lambda: backpressure(_result("backpressure")),
    "recovery": lambda: recovery(_result("recovery")),
}
