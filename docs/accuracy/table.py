"""Rows that the accuracy suite finds, with a verdict each, and the file that keeps them; it measures nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

_LARGE = 100  # figures from here on are shown without fractions


@dataclass(frozen=True)
class Row:
    """One quantity of one scenario as one system shows it.

    Attributes:
        part: The module of the scenario.
        scenario: What happens.
        what: Of what.
        system: Who counted, by its key.
        truth: What happened; of a process that was killed, what it had completed.
        begun: More than that, where an event was under way in a thread that was killed.
        counted: What the system shows.
        least: The smallest figure that was promised.
        most: The largest figure that was promised.
        bound: Why another figure than the truth was promised, in words; empty where none was.
        is_limit: Whether there is no truth, but a limit.
        scale: The form it was measured in.
        day: When.
    """

    part: str
    scenario: str
    what: str
    system: str
    truth: float
    begun: float
    counted: float
    least: float
    most: float
    bound: str = ""
    is_limit: bool = False
    scale: str = "full"
    day: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the figure is one that was promised."""
        return self.least <= self.counted <= self.most

    @property
    def verdict(self) -> str:
        """In a word."""
        if not self.is_right:
            return "WRONG"
        if self.is_limit:
            return "kept"
        return "exact" if self.truth <= self.counted <= self.begun else "bounded"

    @property
    def wanted(self) -> str:
        """What had to be counted."""
        if self.is_limit:
            return f"≤ {self.most:.6g}"
        return number(self.truth) if self.begun == self.truth else f"{number(self.truth)} to {number(self.begun)}"


@dataclass(frozen=True)
class Absent:
    """A scenario that a system has no part in.

    Attributes:
        reason: Why, for people.
    """

    part: str
    scenario: str
    system: str
    reason: str


def number(value: float) -> str:
    """For people: whole numbers in full, and of large ones nothing else."""
    return f"{value:.0f}" if value == int(value) or value >= _LARGE else f"{value:.3g}"


class Table:
    """Rows as they are found."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.absent: list[Absent] = []

    def lines(self) -> Iterator[str]:
        """The rows for a terminal."""
        for row in self.rows:
            verdict = f"{row.verdict}: {row.bound}" if row.verdict == "bounded" else row.verdict
            yield f"{row.system:9} | {row.scenario} | {row.what} | {number(row.counted)} of {row.wanted} | {verdict}"

    def write(self, path: Path) -> None:
        """Keep the rows for the page; those that were kept of other systems and scenarios stay."""
        with path.with_suffix(".lock").open("w") as lock:  # systems may be measured side by side
            flock(lock, LOCK_EX)
            self._write(path)

    def _write(self, path: Path) -> None:
        kept = read(path) if path.exists() else Table()
        now = {(row.scenario, row.system) for row in self.rows}
        now |= {(entry.scenario, entry.system) for entry in self.absent}
        rows = [row for row in kept.rows if (row.scenario, row.system) not in now] + self.rows
        absent = [entry for entry in kept.absent if (entry.scenario, entry.system) not in now] + self.absent
        parts = [f'"rows": {_lines(map(_as_data, rows))}', f'"absent": {_lines(map(asdict, absent))}']
        path.write_text("{" + ",\n".join(parts) + "}\n")


def _lines(entries: Iterable[dict[str, Any]]) -> str:
    """A line for each, as people review it."""
    return "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]"


def _as_data(row: Row) -> dict[str, Any]:
    """What differs from the defaults, for a file that people review."""
    return {f.name: getattr(row, f.name) for f in fields(row) if getattr(row, f.name) != f.default}


def read(path: Path) -> Table:
    """The table that was kept."""
    table = Table()
    kept = json.loads(path.read_text())
    table.rows = [Row(**row) for row in kept["rows"]]
    table.absent = [Absent(**entry) for entry in kept["absent"]]
    return table
