"""``fleet-telemetry catalogue``: the reference of every metric, in the form that is asked for."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from telemetry.cli.command import DONE, Command, refuse, say

if TYPE_CHECKING:
    from telemetry.catalogue import Spec

Specs = Sequence["Spec[Any]"]


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="only what these modules of yours declare, by their dotted names"
    )
    parser.add_argument(
        "--format",
        choices=sorted(FORMATS),
        default="table",
        help="table (the default), markdown, json, or semconv: semantic conventions that `weaver registry check` takes",
    )


def _run(given: Namespace) -> int:
    from telemetry.catalogue import BUILT_IN
    from telemetry.catalogue.loading import including
    from telemetry.cli.known import known

    named = [(name, f"module {name}") for name in given.modules]
    catalogue, wrong = including(BUILT_IN if given.modules else known(), named)
    if wrong:
        return refuse("\n".join(wrong))
    built_in = set() if not given.modules else set(BUILT_IN.specs)
    say(FORMATS[given.format]([spec for spec in catalogue.specs if spec not in built_in]))
    return DONE


def _table(specs: Specs) -> str:
    from telemetry.catalogue.reference import PROMETHEUS_TYPE

    rows = [
        (spec.name, PROMETHEUS_TYPE[spec.kind].lower(), spec.unit or "-", ", ".join(spec.documented_labels))
        for spec in specs
    ]
    head = ("METRIC", "TYPE", "UNIT", "LABELS")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows))


def _markdown(specs: Specs) -> str:
    from telemetry.catalogue.reference import overview, sections

    return f"{overview(specs)}\n\n{sections(specs)}"


def _json(specs: Specs) -> str:
    from telemetry.catalogue.reference import as_json

    return as_json(specs)


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
    description="Print every metric with its type, unit, labels and meaning: ours, those of the modules that "
    "TELEMETRY_CATALOGUE and installed distributions name, or those of the modules that are given.",
    add_arguments=_add_arguments,
    run=_run,
)
