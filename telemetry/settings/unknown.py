"""Variables that begin as ours do and are none of ours: mistyped names, and those of other products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from telemetry.settings.problems import Problem
from telemetry.settings.variables import OWN

PREFIX = "TELEMETRY_"
INTERNAL = frozenset({"TELEMETRY_DOCTOR_INSTRUMENTS", "TELEMETRY_RAISE_ERRORS", "TELEMETRY_ROOT_PID"})
"""Those that our own processes and tests tell each other something by."""
_LIKENESS = 0.6  # of what follows the prefix


def unknown(names: Iterable[str]) -> list[str]:
    """Those of these variables that begin as ours do and are none of ours."""
    ours = INTERNAL.union(variable.name for variable in OWN)
    return sorted(name for name in names if name.startswith(PREFIX) and name not in ours)


def mistyped(names: Iterable[str]) -> Iterator[Problem]:
    """What is to be said of those that are nearly ours. Values are not shown: whose they are is not known."""
    for name in names:
        nearest = _nearest(name)
        if nearest:
            yield Problem(
                name, "…", f"is not a variable of ours: {nearest} is the nearest; docs/settings.md has them all"
            )


def _nearest(name: str) -> str:
    """The variable of ours that is most like this one; none where no one is like it."""
    from difflib import get_close_matches  # loaded where there is something to find

    ours = [variable.name.removeprefix(PREFIX) for variable in OWN]
    found = get_close_matches(name.removeprefix(PREFIX), ours, 1, _LIKENESS)
    return PREFIX + found[0] if found else ""
