"""Attributes of any instrument as a series keeps them: of kinds that every exporter takes, and bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from telemetry.box.identity import Value

MOST_ATTRIBUTES = 64
_LONGEST = 1024
_LARGEST_INT = 2**63 - 1


def canonical(attributes: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[Value, ...]]:
    """Names and values, in the order given; what is no value of OpenTelemetry becomes text."""
    items = list(attributes.items())[:MOST_ATTRIBUTES]
    return tuple(_text(name) for name, _ in items), tuple(_value(value) for _, value in items)


def _value(value: Any) -> Value:
    if isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return value if -_LARGEST_INT <= value <= _LARGEST_INT else float(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return cast("Value", tuple(_value(one) for one in value[:MOST_ATTRIBUTES]))
    if isinstance(value, Mapping):
        return _text(json.dumps(value, default=str, sort_keys=True))
    return _text(value.decode(errors="replace") if isinstance(value, bytes) else value)


def _text(value: object) -> str:
    return str(value)[:_LONGEST].encode("utf-8", "replace").decode("utf-8")
