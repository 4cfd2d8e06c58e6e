"""The metrics of a catalogue in the lists of ``otel-collector.durable.yaml``, where they have budgets of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from telemetry.catalogue import HistogramSpec, Spec

Specs = Iterable[Spec[Any]]

NAME = "otel-collector.durable.yaml"
_INDENT = " " * 6
_TOTALS, _REST = ("counter", "histogram"), ("level", "fact")


def totals(specs: Specs) -> list[str]:
    """Counters and histograms, these with their bounds."""
    return [_total(spec) for spec in specs if spec.kind in _TOTALS]


def _total(spec: Spec[Any]) -> str:
    bounds = f"bounds: [{', '.join(f'{bound:g}' for bound in spec.buckets)}]" if isinstance(spec, HistogramSpec) else ""
    return f"{_INDENT}{spec.name}: {{{bounds}}}"


def names(specs: Specs, *kinds: str) -> list[str]:
    """The names of what is of these kinds."""
    return [f"{_INDENT}- {spec.name}" for spec in specs if spec.kind in kinds]


LISTS: Mapping[str, Callable[[Specs], list[str]]] = {
    "totals": totals,
    "other": lambda specs: names(specs, *_REST),
    "names": lambda specs: names(specs, *_TOTALS),
    "levels": lambda specs: names(specs, "level"),
    "facts": lambda specs: names(specs, "fact"),
    "now": lambda specs: names(specs, *_REST),
}
"""What each list of the file has, by the marker that ends it."""


def with_metrics(config: str, specs: Sequence[Spec[Any]]) -> str:
    """The file with more metrics, below the markers; what is there of the same name gives way to them.

    Args:
        config: The file as it is shipped.
        specs: The metrics.
    """
    taken = tuple(f"{_INDENT}{start}{spec.name}{end}" for spec in specs for start, end in (("", ":"), ("- ", "\n")))
    config = "".join(line for line in config.splitlines(keepends=True) if not line.startswith(taken))
    for marker, lines_of in LISTS.items():
        end = f"{_INDENT}# /generated:{marker}\n"
        config = config.replace(end, end + "".join(f"{line}\n" for line in lines_of(specs)))
    return config
