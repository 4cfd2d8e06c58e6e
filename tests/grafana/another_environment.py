"""A process of another environment that counts every metric of the catalogue a known number of times, for tests of dashboards.

Usage: ``python -m tests.grafana.another_environment``, with the standard ``OTEL_*`` variables. It says `recorded` once everything is
delivered, goes on exporting its levels and facts, and ends with its standard input.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import telemetry
from app.catalogue import FLEET, MODULES
from telemetry.catalogue import CounterSpec, FactSpec, HistogramSpec, LevelSpec, Spec, http

EACH = 7  # events per series
SECONDS = 0.3  # per observation
READING = 3  # of levels and facts
COUNTED = (http.IN_PROGRESS, http.WEBSOCKETS_OPEN)  # levels that go up and down with events; others are read
OPEN = {"queue": ("high", "medium", "low"), "status_code": ("200", "404", "500")}


def label_sets(spec: Spec[Any]) -> Iterator[dict[str, str]]:
    """The series it counts: all values of closed labels, a few of open ones."""
    values = [
        tuple(value for value in label.values if value != label.overflow) or OPEN.get(label.name, (f"a_{label.name}",))
        for label in spec.label_set()
    ]
    for chosen in product(*values):
        yield dict(zip(spec.label_keys, chosen, strict=True))


def record(spec: Spec[Any], t: telemetry.Telemetry) -> None:
    """Every series of a metric."""
    for labels in label_sets(spec):
        match spec:
            case CounterSpec():
                t.instruments.counter(spec).add(EACH, labels)
            case HistogramSpec():
                for _ in range(EACH):
                    t.instruments.histogram(spec).record(SECONDS, labels)
            case LevelSpec() if spec in COUNTED:
                t.instruments.level(spec).add(READING, labels)
    readings = [(labels, READING) for labels in label_sets(spec)]
    if isinstance(spec, FactSpec):
        t.instruments.fact(spec).set_all(readings)
    elif isinstance(spec, LevelSpec) and spec not in COUNTED:
        t.instruments.observed_level(spec).read_from(lambda: readings)


if __name__ == "__main__":
    recorders = telemetry.configure("another-environment", catalogue=MODULES)
    for each in FLEET.specs:
        record(each, recorders)
    assert recorders.force_flush(30)
    sys.stdout.write("recorded\n")
    sys.stdout.flush()
    sys.stdin.read()
