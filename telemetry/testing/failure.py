"""What a failed assertion about a metric says: the series that are there, those that were meant most likely first."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry.testing.capturing import Captured, Labels

MOST_SHOWN = 10


def failure(captured: Captured, metric: str, labels: Mapping[str, str], wanted: float, counted: float) -> str:
    """The message: what was wanted, what was counted, and what is there."""
    lines = [f"{shown(metric, tuple(labels.items()))} counted {counted:g}, not {wanted:g}"]
    series = captured.series(metric, zeros=True)
    if series:
        nearest = sorted(series, key=lambda key: (-_alike(dict(key), labels), key))
        lines += [
            "its series, the nearest first:",
            *(f"  {shown(metric, key)} {series[key]:g}" for key in nearest[:MOST_SHOWN]),
        ]
        lines += [f"  … and {len(series) - MOST_SHOWN} more"] if len(series) > MOST_SHOWN else []
        return "\n".join(lines + _of_labels(captured, metric, labels))
    return "\n".join(lines + _of_metric(captured, metric))


def shown(metric: str, labels: Labels) -> str:
    """A series as Prometheus writes it."""
    inside = ", ".join(f'{name}="{value}"' for name, value in labels)
    return f"{metric}{{{inside}}}" if inside else metric


def _alike(found: Mapping[str, str], wanted: Mapping[str, str]) -> int:
    return sum(found.get(name) == value for name, value in wanted.items())


def _of_labels(captured: Captured, metric: str, labels: Mapping[str, str]) -> list[str]:
    spec = captured.telemetry.catalogue.by_name.get(metric)
    unknown = sorted(set(labels) - set(spec.label_keys)) if spec else []
    return (
        [f"{metric} has no label {', '.join(unknown)}: it has {', '.join(spec.label_keys)}"] if spec and unknown else []
    )


def _of_metric(captured: Captured, metric: str) -> list[str]:
    known = {*captured.telemetry.catalogue.by_name, *captured.metrics()}
    if metric in known:
        counted = ", ".join(captured.metrics()) or "nothing"
        return [f"it has no series: nothing was counted in it in this block; counted was {counted}"]
    meant = get_close_matches(metric, known, n=1)
    return [f"there is no such metric; did you mean {meant[0]}?" if meant else "there is no such metric"]
