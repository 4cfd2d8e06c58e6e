"""Tables in Markdown, for every generated part of the documentation."""

from __future__ import annotations

from collections.abc import Iterable


def table(head: Iterable[str], rows: Iterable[Iterable[str]], *, numbers: bool = False) -> str:
    """A table; with ``numbers``, every column but the first one is aligned to the right."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] + ["--:" if numbers else "---"] * (len(lines[0]) - 1))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
