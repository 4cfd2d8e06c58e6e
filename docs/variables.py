"""The tables of environment variables in ``docs/settings.md``, from their declaration."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from docs.markdown import table
from telemetry.settings.variables import EVERY_VALUE, Variable


def variables(declared: Iterable[Variable[Any]]) -> str:
    """A row for each variable that has an effect."""
    rows = [
        [_names(variable), _default(variable), variable.meaning, variable.wrong]
        for variable in declared
        if EVERY_VALUE not in variable.ignored
    ]
    return table(["Variable", "Default", "Meaning", "Instead of a wrong value"], rows)


def without_effect(declared: Iterable[Variable[Any]]) -> str:
    """A row for each variable, or values of one, that are not honoured."""
    rows = []
    for variable in declared:
        for why, values in groupby(variable.ignored.items(), key=lambda item: item[1]):
            shown = ", ".join("any" if value == EVERY_VALUE else f"`{value}`" for value, _ in values)
            rows.append([f"`{variable.name}`", shown, why])
    return table(["Variable", "Value", "Why it has no effect"], rows)


def _names(variable: Variable[Any]) -> str:
    return ", ".join(f"`{name}`" for name in (variable.name, variable.wins) if name)


def _default(variable: Variable[Any]) -> str:
    return variable.shown or (f"`{variable.default}`" if variable.default else "")
