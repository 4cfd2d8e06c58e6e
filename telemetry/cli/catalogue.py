"""``fleet-telemetry catalogue``: the reference of every metric, in the form that is asked for."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from telemetry.cli.command import DONE, Command, say

if TYPE_CHECKING:
    from telemetry.catalogue import Label, Spec

Specs = Sequence["Spec[Any]"]

PROMETHEUS_TYPE = {"counter": "counter", "histogram": "histogram", "level": "gauge", "fact": "gauge"}


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=sorted(FORMATS),
        default="table",
        help="table (the default), markdown, json, or semconv: semantic conventions that `weaver registry check` takes",
    )


def _run(given: Namespace) -> int:
    from telemetry.catalogue import ALL

    say(FORMATS[given.format](ALL))
    return DONE


def _table(specs: Specs) -> str:
    rows = [
        (spec.name, PROMETHEUS_TYPE[spec.kind], spec.unit or "-", ", ".join(spec.documented_labels)) for spec in specs
    ]
    head = ("METRIC", "TYPE", "UNIT", "LABELS")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows))


def _markdown(specs: Specs) -> str:
    rows = ["| Metric | Type | Unit | Labels | Meaning |", "|---|---|---|---|---|"]
    for spec in specs:
        labels = ", ".join(f"`{label}`" for label in spec.documented_labels)
        rows.append(f"| `{spec.name}` | {PROMETHEUS_TYPE[spec.kind]} | {spec.unit} | {labels} | {spec.help} |")
    return "\n".join(rows)


def _json(specs: Specs) -> str:
    return json.dumps({"metrics": [_described(spec) for spec in specs]}, indent=2)


def _described(spec: Spec[Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": spec.name,
        "kind": spec.kind,
        "type": PROMETHEUS_TYPE[spec.kind],
        "unit": spec.unit,
        "help": spec.help,
        "documented": spec.documented,
        "labels": [*map(_label, spec.label_set()), {"name": "environment"}],
    }
    buckets: Iterable[float] = getattr(spec, "buckets", ())
    return {**described, "buckets": list(buckets)} if buckets else described


def _label(label: Label) -> dict[str, Any]:
    if label.budget is None:
        return {"name": label.name, "values": list(label.values)}
    budget = label.budget
    return {"name": label.name, "budget": budget.limit, "bounded_by": budget.bounded_by, "overflow": budget.overflow}


def _semconv(specs: Specs) -> str:
    from telemetry.cli.semconv import registry

    return registry(specs)


FORMATS: dict[str, Callable[[Specs], str]] = {
    "table": _table,
    "markdown": _markdown,
    "json": _json,
    "semconv": _semconv,
}

COMMAND = Command(
    name="catalogue",
    help="print the reference of every metric",
    description="Print every metric with its type, unit, labels and meaning.",
    add_arguments=_add_arguments,
    run=_run,
)
