"""The tables of ``docs/soak.md`` from what ``make soak`` and ``benchmarks/`` stored; it measures nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from docs.markdown import table

_MUCH_NOISE = 1.5
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
    """What a service feels of each trouble, and what is counted meanwhile."""
    head = ["trouble", "p99 without, ms", "p99 with it, ms", "ratio", "95 of 100 are within", "slower by"]
    rows = (
        [
            name,
            f"{row['p99_ms_without']:.1f}",
            f"{row['p99_ms_with']:.1f}",
            f"{row['ratio']:.2f}",
            f"{row['least']:.2f} to {row['most']:.2f}",
            slower_by(row, found["noise"]),
        ]
        for name, row in found["troubles"].items()
    )
    each = next(iter(found["troubles"].values()))
    turns = f"{found['crews']} crews, {each['turns']} turns of {found['seconds']} s with each trouble"
    noise = f"Noise: a turn without trouble is within a factor of {found['noise']:.2f} of its neighbours, in 95 of 100"
    shown = f"**all but {found['difference']:,}**" if found["difference"] else "all"
    counts = f"{found['requests']:,} requests were served, {shown} are shown"
    return f"{_about(found)}; {turns}.\n\n{table(head, rows, numbers=True)}\n\n{noise}. {counts}."


def slower_by(row: Mapping[str, float], noise: float) -> str:
    """Whether a trouble is felt, as far as all of the interval says so: faster is no harm, much noise says nothing."""
    if row["most"] <= min(noise, _MUCH_NOISE):
        return "less than the noise"
    return "**more than the noise**" if row["least"] > noise else "not decided"


_OF_EXPORTS = {
    "exports a second": "requests_per_second",
    "most in a second": "most_in_a_second",
    "most points": "most_points",
    "largest, kB": "most_kilobytes",
}
_PHASES = ("before", "meanwhile", "after")


def recovery(found: Mapping[str, Any]) -> str:
    """What came before an outage, during it and after it, and whether all of it was counted."""
    rows = [row for name, outage in found["outages"].items() for row in _outage(name, outage)]
    head = ["", "", *_OF_EXPORTS, "p99 of the service, ms"]
    fleet = f"{found['processes']} processes, an export every {found['interval']:g} s, away for {found['outage']:g} s"
    after = "\n".join(f"* {name}: {_caught_up(outage)}." for name, outage in found["outages"].items())
    return f"{_about(found)}: {fleet}.\n\n{table(head, rows)}\n\n{after}"


def _outage(name: str, outage: Mapping[str, Any]) -> Iterator[list[str]]:
    for phase in _PHASES:
        seen = outage[phase]
        came = [f"{seen[key]:g}" if seen["most_points"] else UNKNOWN for key in _OF_EXPORTS.values()]
        yield [name if phase == _PHASES[0] else "", phase, *came, f"{seen['p99_ms']:g}"]


def _caught_up(outage: Mapping[str, Any]) -> str:
    shown = "all" if outage["shown"] == outage["events"] else f"**{outage['shown']:,}**"
    delivered = f"every process had sent {outage['caught_up_after_s']:g} s after it was back"
    return f"{delivered}; {outage['events']:,} events were counted, {shown} are shown"


def _about(found: Mapping[str, Any]) -> str:
    return f"Measured {found['measured']}, Python {found['python']}"


PARTS: Mapping[str, Callable[[], str]] = {
    "soak": lambda: summary(_result("soak")),
    "growth": lambda: growth(_result("soak")),
    "descriptors": lambda: descriptors(_result("soak")),
    "backpressure": lambda: backpressure(_result("backpressure")),
    "recovery": lambda: recovery(_result("recovery")),
}
