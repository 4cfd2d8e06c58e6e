"""The reference of any catalogue for people and programs: overview, sections, JSON; it reads declarations only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from telemetry.catalogue._spec import HistogramSpec, Label, Spec

PROMETHEUS_TYPE = {"counter": "Counter", "histogram": "Histogram", "level": "Gauge", "fact": "Gauge"}
MEANING = {
    "counter": "summed over the fleet",
    "histogram": "summed over the fleet",
    "level": "one series per process (`instance`), gone 60 s after its death",
    "fact": "one truth for the fleet, the last report wins",
}


def overview(specs: Iterable[Spec[Any]]) -> str:
    """A Markdown table with a row for each metric."""
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for spec in specs:
        labels = ", ".join(spec.documented_labels)
        rows.append(f"| `{spec.name}` | {PROMETHEUS_TYPE[spec.kind]} | {labels} | {spec.help} |")
    return "\n".join(rows)


def sections(specs: Iterable[Spec[Any]]) -> str:
    """A Markdown section for each metric: how it aggregates, its label values and bounds, its buckets."""
    return "\n\n".join(_section(spec) for spec in specs)


def _section(spec: Spec[Any]) -> str:
    lines = [
        f"### `{spec.name}`",
        "",
        f"{spec.help} {PROMETHEUS_TYPE[spec.kind]}, {MEANING[spec.kind]}; unit `{spec.unit or 'none'}`.",
        "",
        "| Label | Values |",
        "|---|---|",
        *(f"| `{label.name}` | {_values(label)} |" for label in spec.label_set()),
        "| `environment` | `deployment.environment.name` of the sender |",
    ]
    if isinstance(spec, HistogramSpec):
        lines += ["", "Buckets: " + ", ".join(f"{bound:g}" for bound in spec.buckets) + "."]
    return "\n".join(lines)


def _values(label: Label) -> str:
    if label.budget is None:
        return ", ".join(f"`{value}`" for value in label.values)
    return f"at most {label.budget.limit} ({label.budget.bounded_by}), then `{label.overflow}`"


def as_json(specs: Iterable[Spec[Any]]) -> str:
    """A JSON list with an object for each metric: what the sections say, for programs."""
    return json.dumps([_object(spec) for spec in specs], indent=2)


def _object(spec: Spec[Any]) -> dict[str, Any]:
    described = {
        "name": spec.name,
        "kind": spec.kind,
        "type": PROMETHEUS_TYPE[spec.kind].lower(),
        "unit": spec.unit,
        "help": spec.help,
        "labels": [_label(label) for label in spec.label_set()],
    }
    return described | ({"buckets": list(spec.buckets)} if isinstance(spec, HistogramSpec) else {})


def _label(label: Label) -> dict[str, Any]:
    if label.budget is None:
        return {"name": label.name, "values": list(label.values), "overflow": label.overflow}
    bound = {"limit": label.budget.limit, "bounded_by": label.budget.bounded_by}
    return {"name": label.name, **bound, "overflow": label.overflow}
