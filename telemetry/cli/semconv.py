"""The catalogue as semantic conventions of OpenTelemetry (``definition/2``), for ``weaver``; no YAML library is needed.

A convention has one definition of each attribute. Labels of one name that different metrics declare become one
attribute: an enumeration of all values, or free text where one of them is open.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telemetry.catalogue import Label, Spec

_INSTRUMENT = {"counter": "counter", "histogram": "histogram", "level": "updowncounter", "fact": "gauge"}
_NO_UNIT = "1"


def registry(specs: Sequence[Spec[Any]]) -> str:
    """One file of a registry, in YAML."""
    lines = ["file_format: definition/2", "", "attributes:"]
    for name, labels in _attributes(specs).items():
        lines += _item(_attribute(name, labels))
    lines += ["", "metrics:"]
    for spec in specs:
        lines += _item(_metric(spec))
    return "\n".join(lines)


def _attributes(specs: Iterable[Spec[Any]]) -> Mapping[str, list[Label]]:
    """Every label by its name, as often as it is declared."""
    found: defaultdict[str, list[Label]] = defaultdict(list)
    for spec in specs:
        for label in spec.label_set():
            found[label.name].append(label)
    return found


def _attribute(name: str, labels: Iterable[Label]) -> dict[str, Any]:
    labels = list(labels)
    budgets = [label.budget for label in labels if label.budget is not None]
    described: dict[str, Any] = {"key": name, "stability": "stable"}
    if not budgets:
        return {
            **described,
            "type": {"members": _members(labels)},
            "brief": f"The label `{name}`, one of a closed set.",
        }
    bounds = "; ".join(dict.fromkeys(f"at most {budget.limit}: {budget.bounded_by}" for budget in budgets))
    return {
        **described,
        "type": "string",
        "brief": f"The label `{name}`.",
        "note": f"{bounds}. Further values become `{budgets[0].overflow}`.",
        "examples": [budgets[0].overflow],
    }


def _members(labels: Iterable[Label]) -> list[dict[str, str]]:
    """Every value of any of them, under an id of its own."""
    named: dict[str, str] = {}
    for value in dict.fromkeys(value for label in labels for value in label.values):
        plain, number = _id(value), 2
        name = plain
        while name in named:
            name, number = f"{plain}_{number}", number + 1
        named[name] = value
    return [{"id": name, "value": value, "stability": "stable"} for name, value in named.items()]


def _id(value: str) -> str:
    """A member's id is lower snake case and begins with a letter."""
    plain = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_") or "empty"
    return plain if plain[0].isalpha() else f"value_{plain}"


def _metric(spec: Spec[Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": spec.name,
        "brief": spec.help,
        "instrument": _INSTRUMENT[spec.kind],
        "unit": spec.unit or _NO_UNIT,
        "stability": "stable" if spec.documented else "development",
        "requirement_level": "recommended",
    }
    if spec.label_keys:
        described["attributes"] = [{"ref": name, "requirement_level": "required"} for name in spec.label_keys]
    return described


def _item(described: Mapping[str, Any]) -> Iterator[str]:
    """An entry of a list: texts are quoted as in JSON, of which YAML is a superset, and so are nested values."""
    for number, (key, value) in enumerate(described.items()):
        yield f"  {'- ' if not number else '  '}{key}: {value if _is_plain(value) else json.dumps(value)}"


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]*", value) is not None and value not in {"null", "true"}
    )
