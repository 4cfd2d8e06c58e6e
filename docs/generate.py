"""Writes what follows from catalogue and measurements between markers, in documentation and collector configuration.

``--check`` only compares.

Usage: ``python -m docs.generate [--check]``
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from docs import doctor, rooms
from docs.accuracy import page as accuracy
from docs.celery.page import outcomes
from docs.performance import PARTS
from grafana.rules import reference as alerts
from telemetry.catalogue import ALL, DOCUMENTED, HistogramSpec, Label, Spec
from telemetry.instrumentation.bridge import RULES, Rule

ROOT = Path(__file__).parent.parent
PROMETHEUS_TYPE = {"counter": "Counter", "histogram": "Histogram", "level": "Gauge", "fact": "Gauge"}
MEANING = {
    "counter": "summed over the fleet",
    "histogram": "summed over the fleet",
    "level": "one series per process (`instance`), gone 60 s after its death",
    "fact": "one truth for the fleet, the last report wins",
}


def overview(specs: Iterable[Spec[Any]]) -> str:
    """A table with a row for each metric."""
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for spec in specs:
        labels = ", ".join(spec.documented_labels)
        rows.append(f"| `{spec.name}` | {PROMETHEUS_TYPE[spec.kind]} | {labels} | {spec.help} |")
    return "\n".join(rows)


def reference(specs: Iterable[Spec[Any]]) -> str:
    """A section for each metric: how it aggregates, its label values and bounds, its buckets."""
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


def translations(rules: Mapping[str, Rule]) -> str:
    """A table with a row for each foreign instrument."""
    rows = ["| Instrument | Lands on | Where that is measured by our own hooks |", "|---|---|---|"]
    for name, rule in rules.items():
        onto = ", ".join(f"`{spec.name}`" for spec in rule.onto) or f"nothing: {rule.reason}"
        also = f"; dropped where its meter has `{rule.unless}` too" if rule.unless else ""
        own = "dropped for vendors the application records itself" if rule.domain == "llm" else "dropped"
        rows.append(f"| `{name}` | {onto}{also} | {own} |")
    return "\n".join(rows)


def known_totals() -> str:
    """The totals as the collector's configuration lists them: histograms with their bounds."""
    return "\n".join(
        f"      {spec.name}: {{bounds: [{', '.join(f'{bound:g}' for bound in spec.buckets)}]}}"
        if isinstance(spec, HistogramSpec)
        else f"      {spec.name}: {{}}"
        for spec in ALL
        if spec.kind in {"counter", "histogram"}
    )


def known_names(*kinds: str) -> str:
    """The names of these kinds as a list of the collector's configuration."""
    return "\n".join(f"      - {spec.name}" for spec in ALL if spec.kind in kinds)


GENERATED: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"metrics": lambda: overview(DOCUMENTED)},
    "docs/accuracy.md": {
        "measured": accuracy.measured,
        "results": accuracy.results,
        "bounds": accuracy.bounds,
    },
    "docs/architecture.md": {"rooms": rooms.diagram},
    "docs/celery.md": {"outcomes": outcomes},
    "docs/doctor.md": {"checks": doctor.known},
    "docs/metrics.md": {
        "documented": lambda: reference(DOCUMENTED),
        "additional": lambda: reference(spec for spec in ALL if not spec.documented),
    },
    "docs/alerts.md": {"alerts": alerts.overview, "guide": alerts.comparison},
    "docs/recording.md": {"bridge": lambda: translations(RULES)},
    "docs/performance.md": dict(PARTS),
    "otel-collector.durable.yaml": {
        "totals": known_totals,
        "other": lambda: known_names("level", "fact"),
        "names": lambda: known_names("counter", "histogram"),
        "levels": lambda: known_names("level"),
        "facts": lambda: known_names("fact"),
        "now": lambda: known_names("level", "fact"),
    },
}
COMMENTS = {".md": ("<!-- ", " -->"), ".yaml": ("      # ", "")}


def fill(text: str, marker: str, content: str, suffix: str = ".md") -> str:
    """``text`` with what stands between the markers replaced; they are comments of files with this suffix.

    Raises:
        ValueError: If the markers are missing.
    """
    before, after = COMMENTS[suffix]
    start, end = f"{before}generated:{marker}{after}", f"{before}/generated:{marker}{after}"
    before, found_start, rest = text.partition(start)
    _, found_end, after = rest.partition(end)
    if not found_start or not found_end:
        raise ValueError(f"markers {start} … {end} are missing")
    return f"{before}{start}\n{content}\n{end}{after}"


def main(check: bool) -> int:
    """Write, or compare, every generated part."""
    stale = []
    for name, parts in GENERATED.items():
        path = ROOT / name
        old = path.read_text()
        new = old
        for marker, content in parts.items():
            new = fill(new, marker, content(), path.suffix)
        if new != old:
            stale.append(name)
            if not check:
                path.write_text(new)
    if check and stale:
        sys.stderr.write(f"not up to date: {', '.join(stale)}; run `make generate`\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
