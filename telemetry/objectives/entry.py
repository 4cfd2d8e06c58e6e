"""One entry of a file of objectives: takes values out by their keys, and notes down in sentences what is wrong."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import promql_parser as promql

from telemetry.objectives.indicators import selected

_MOST_WINDOW, _LEAST_WINDOW = 90, 7
_WHOLE = 100
_DAYS = {"d": 1, "w": 7}


class Entry:
    """One entry.

    Args:
        where: What it is called in sentences.
        values: What stands in it.
        problems: Where sentences go.
    """

    def __init__(self, where: str, values: Mapping[str, Any], problems: list[str]) -> None:
        self._where, self._values, self._problems = where, values, problems

    def wrong(self, key: str, remedy: str) -> None:
        """Note that the value of a key cannot be used, and what to write."""
        shown = f"{key}: {self._values[key]!r}" if key in self._values else key
        self._problems.append(f"{self._where}: {shown} {remedy}")

    def has(self, key: str) -> bool:
        """Whether there is a value."""
        return self._values.get(key) is not None

    def only(self, keys: Iterable[str]) -> None:
        """Each key is one of these."""
        known = list(keys)
        for key in self._values:
            if key not in known:
                self.wrong(str(key), f"is not known{_meant(str(key), known)}; known are {', '.join(known)}")

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        found = self._values.get(key)
        if found is None:
            return default
        if not isinstance(found, str):
            self.wrong(key, "is no text: write one, in quotes where it looks like something else")
            return default
        return found.strip()

    def required(self, key: str, example: str) -> str:
        """A text that has to be there."""
        if not self.has(key):
            self.wrong(key, f"is missing: write for instance `{key}: {example}`")
        return self.text(key)

    def one_of(self, key: str, known: Iterable[str]) -> str:
        """One of several words; empty where it is none of them."""
        known = list(known)
        found = self.required(key, known[0])
        if found and found not in known:
            self.wrong(key, f"is not known{_meant(found, known)}; known are {', '.join(known)}")
        return found if found in known else ""

    def name(self, key: str) -> str:
        """A name that series can have."""
        found = self.required(key, "checkout_availability")
        if found and not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", found):
            self.wrong(key, "is no name for series: write small letters, digits and single underscores, a letter first")
        return found

    def percent(self, key: str) -> float:
        """A share in percent, between 0 and 100."""
        found = self._number(key, "99.5")
        if found is None:
            return 50.0
        if 0 < found < 1:
            self.wrong(key, f"is a share of 1, not of 100: write {found * 100:g}")
        elif not 0 < found < _WHOLE:
            self.wrong(
                key, "is no target: write a percentage between 0 and 100, such as 99.5; 100 allows nothing to fail"
            )
        return found

    def seconds(self, key: str) -> float:
        """A positive number of seconds."""
        found = self._number(key, "2.5")
        if found is not None and not 0 < found < math.inf:
            self.wrong(key, "is no time: write seconds, such as 2.5")
        return found or 1.0

    def count(self, key: str, default: int) -> int:
        """A whole number from 1 on."""
        found = self._values.get(key, default)
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            self.wrong(key, f"is no number of events: write a whole number from 1 on, such as {default}")
            return default
        return found

    def days(self, key: str, default: int) -> int:
        """A number of days, written as ``30d`` or ``4w``."""
        if not self.has(key):
            return default
        found = re.fullmatch(r"(\d{1,4})([dw])", str(self._values[key]).strip())
        days = int(found[1]) * _DAYS[found[2]] if found else 0
        if not _LEAST_WINDOW <= days <= _MOST_WINDOW:
            self.wrong(key, f"cannot be used: write {_LEAST_WINDOW}d to {_MOST_WINDOW}d, or weeks, such as 30d or 4w")
            return default
        return days

    def matchers(self, key: str) -> str:
        """Matchers of PromQL, with or without braces."""
        found = self.text(key)
        inside = found[1:-1].strip() if found.startswith("{") and found.endswith("}") else found
        if inside and not _is_selector(f"x{{{inside}}}"):
            self.wrong(
                key, """are no matchers of PromQL: write for instance 'endpoint=~"/checkout.*", method="POST"'"""
            )
            return ""
        return inside

    def series(self, key: str, *matchers: str) -> str:
        """A selector of PromQL, with more matchers."""
        found = self.required(key, "payments_failed_total")
        if found and not _is_selector(found):
            self.wrong(
                key, """is no selector of series: write a name, or name{label="value"}, without rate() or [5m]"""
            )
            return ""
        return selected(found, *matchers) if found else ""

    def _number(self, key: str, example: str) -> float | None:
        found = self._values.get(key)
        if found is None:
            self.wrong(key, f"is missing: write for instance `{key}: {example}`")
        elif isinstance(found, bool) or not isinstance(found, int | float):
            self.wrong(key, f"is no number: write for instance `{key}: {example}`, without a unit")
        else:
            return float(found)
        return None


def _is_selector(text: str) -> bool:
    try:
        parsed = promql.parse(text)
    except ValueError:
        return False
    return isinstance(parsed, promql.VectorSelector) and bool(parsed.name) and not (parsed.offset or parsed.at)


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (is `{close[0]}` meant?)" if close else ""
