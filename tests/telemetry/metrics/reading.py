"""What a meter provider of a test has counted, by metric and attributes."""

from __future__ import annotations

from typing import Any

from telemetry.box.header import Role
from telemetry.box.identity import Entry, attributes_of
from telemetry.metrics.provider import MeterProvider

Attributes = frozenset[tuple[str, Any]]


def totals(provider: MeterProvider, name: str) -> dict[Attributes, list[float]]:
    """The cells of every series of a counter or histogram."""
    standing = provider.box.standing(Role.TOTALS)
    return {_key(entry): cells for entry, cells in standing if entry.identity.name == name}


def standing(provider: MeterProvider, name: str) -> dict[Attributes, float]:
    """Every series of a level or gauge, after the application was asked."""
    provider.collect()
    return {_key(series): series.standing() for series in provider.standing() if series.identity.name == name}


def of(**attributes: Any) -> Attributes:
    """Attributes as series are found by."""
    return frozenset(attributes.items())


def _key(entry: Entry) -> Attributes:
    return frozenset(attributes_of(entry).items())
