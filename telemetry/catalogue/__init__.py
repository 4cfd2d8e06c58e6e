"""Every metric of the product, in documented order; how they are measured is in ``telemetry.domains``."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from telemetry.catalogue import business, celery, database, errors, http, llm, storage, telemetry
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
    "ALL",
    "BY_NAME",
    "DOCUMENTED",
    "DOMAINS",
    "Budget",
    "CounterSpec",
    "FactSpec",
    "HistogramSpec",
    "Label",
    "LevelSpec",
    "Spec",
]

DOMAINS: tuple[ModuleType, ...] = (http, celery, llm, database, business, storage, errors, telemetry)


def _declared() -> tuple[Spec[Any], ...]:
    return tuple(value for module in DOMAINS for value in vars(module).values() if isinstance(value, Spec))


def _by_name(specs: tuple[Spec[Any], ...]) -> dict[str, Spec[Any]]:
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ImportError(f"declared twice in the catalogue: {', '.join(twice)}")
    return dict(zip(names, specs, strict=True))


ALL: tuple[Spec[Any], ...] = _declared()
BY_NAME: dict[str, Spec[Any]] = _by_name(ALL)
DOCUMENTED: tuple[Spec[Any], ...] = tuple(spec for spec in ALL if spec.documented)
