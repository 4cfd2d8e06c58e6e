"""What is measured: the vocabulary that metrics are declared in, and those that hooks of ours measure.

A user declares metrics of an application's own in a module of the same form, and names it to ``telemetry.configure``:
docs/own-metrics.md. How metrics are measured is in ``telemetry.domains``.
"""

from __future__ import annotations

from telemetry.catalogue import celery, database, errors, http, llm, telemetry
from telemetry.catalogue._catalogue import Catalogue, CatalogueError
from telemetry.catalogue._labels import NoLabels
from telemetry.catalogue._spec import (
    Budget,
    CounterSpec,
    FactSpec,
    HistogramSpec,
    Label,
    LevelSpec,
    Spec,
)

__all__ = [
    "BUILT_IN",
    "Budget",
    "Catalogue",
    "CatalogueError",
    "CounterSpec",
    "FactSpec",
    "HistogramSpec",
    "Label",
    "LevelSpec",
    "NoLabels",
    "Spec",
]

BUILT_IN = Catalogue((http, celery, llm, database, errors, telemetry))
