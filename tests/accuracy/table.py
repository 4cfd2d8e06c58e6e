"""The table the accuracy suite prints: scenario, truth, counted, verdict; it measures nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One quantity of one scenario.

    Attributes:
        truth: What happened.
        counted: What the collector shows.
        least: The smallest figure that is right; the truth itself where nothing may be lost.
        most: The largest figure that is right; the truth itself where nothing may be doubled.
        bound: Why another figure than the truth is right, in words; empty where none is.
        system: What counted, where it is not ours.
    """

    scenario: str
    what: str
    truth: float
    counted: float
    least: float
    most: float
    bound: str = ""
    system: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the figure is one that was promised."""
        return self.least <= self.counted <= self.most

    @property
    def verdict(self) -> str:
        """For people."""
        if not self.is_right:
            return "WRONG"
        return "exact" if self.counted == self.truth else f"within the bound: {self.bound}"


class Table:
    """Rows as they are found."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def text(self) -> str:
        """The table for a terminal and, as it is Markdown, for the documentation."""
        cells = [("scenario", "what", "truth", "counted", "verdict")]
        cells += [(r.scenario, r.what, f"{r.truth:.6g}", f"{r.counted:.6g}", r.verdict) for r in self.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(5)]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in cells
        ]
        lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Keep the rows for the page that is generated from them."""
        rows = [{**asdict(row), "verdict": row.verdict} for row in self.rows]
        path.write_text(json.dumps(rows, indent=1) + "\n")
