"""Rows of the accuracy suite as a table for `docs/accuracy.md`: a column for each system; it measures nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docs.accuracy.table import Absent, Row, Table, number, read
from docs.markdown import table

ROWS = Path(__file__).parent / "rows.json"
# By key, in the order of the columns; `tests/accuracy/systems` says what each is.
SYSTEMS = {
    "durable": "Durable collector",
    "official": "Official distribution",
    "endpoint": "Endpoint, no collector",
    "contrib": "SDK and contrib, default collector",
    "client": "`prometheus_client` multiprocess",
}
PARTS = ("steady", "processes", "replicas", "celery", "outages", "kills", "restarts", "levels")


def measured() -> str:
    """When, by which form, and how the rows are to be read."""
    kept = read(ROWS)
    days = sorted({row.day for row in kept.rows})
    when = " to ".join(dict.fromkeys((days[0], days[-1])))
    short = sum(row.scale != "full" for row in kept.rows)
    form = f"in full, but {short} in the short form: fewer events, kills and seconds" if short else "all in full"
    if short == len(kept.rows):
        form = "all in the short form: fewer events, kills and seconds"
    return f"Measured {when}: {len(kept.rows)} figures, {form}."


def results() -> str:
    """Every scenario and quantity, a column for each system."""
    return table(["Scenario", "What", "Truth", *SYSTEMS.values()], _lines(read(ROWS)))


def bounds() -> str:
    """Where the official configuration promises less than the truth, and what it showed."""
    rows = [row for row in read(ROWS).rows if row.least < row.truth or row.most > row.begun]
    rows = [row for row in rows if not row.is_limit]
    return table(
        ["Scenario", "What", "Missing", "Too much", "Allowed", "Why"],
        (
            [
                row.scenario,
                row.what,
                number(max(0, row.truth - row.counted)),
                number(max(0, row.counted - row.begun)),
                _allowed(row),
                row.bound,
            ]
            for row in sorted(rows, key=lambda row: PARTS.index(row.part))
        ),
    )


def _allowed(row: Row) -> str:
    missing, too_much = row.truth - row.least, row.most - row.begun
    return " and ".join(
        [f"{number(missing)} missing"] * (missing > 0) + [f"{number(too_much)} too much"] * (too_much > 0)
    )


def _lines(kept: Table) -> Iterator[list[str]]:
    before = ""
    for (_, scenario), whats in _scenarios(kept).items():
        for what in whats:
            rows = {row.system: row for row in kept.rows if (row.scenario, row.what) == (scenario, what)}
            absent = {entry.system: entry for entry in kept.absent if entry.scenario == scenario}
            wanted = {row.wanted for row in rows.values()}
            truth = wanted.pop() if len(wanted) == 1 else "each its own"
            cells = [_cell(rows.get(system), absent.get(system), truth) for system in SYSTEMS]
            yield ["" if scenario == before else scenario, what, truth, *cells]
            before = scenario


def _scenarios(kept: Table) -> dict[tuple[str, str], list[str]]:
    """What was counted in each scenario, in the order of the suite's modules."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in sorted(kept.rows, key=lambda row: (PARTS.index(row.part), list(SYSTEMS).index(row.system))):
        whats = found.setdefault((row.part, row.scenario), [])
        if row.what not in whats:
            whats.append(row.what)
    return dict(sorted(found.items(), key=lambda entry: PARTS.index(entry[0][0])))


def _cell(row: Row | None, absent: Absent | None, truth: str) -> str:
    if row is None:
        return absent.reason if absent else "\N{EN DASH}"
    figure = number(row.counted)
    if row.wanted != truth:
        figure += f" of {row.wanted}"
    elif row.verdict == "exact":
        return "exact" if figure == truth else f"{figure}, exact"
    return f"**{figure}, WRONG**" if not row.is_right else f"{figure}, {row.verdict}"
