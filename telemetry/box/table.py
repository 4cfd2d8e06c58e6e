"""The table of a block: lines of JSON, each behind its CRC, that say which series has which cells.

["process", {…}]                                        what is to be known of the process
["metric", name, kind, unit, description, bounds, scope]    the next metric
["keys", [name of a label, …]]                              the next set of labels
[metric, keys, slot, [value of a label, …]]                 a series
["stands", metric, keys, [value of a label, …], value, when]  what a series without cells stands at, on a page
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

from telemetry.box.identity import Identity, Kind, Scope, Value

PROCESS, METRIC, KEYS, STANDS = "process", "metric", "keys", "stands"


def encoded(line: list[Any]) -> bytes:
    """A line as it is stored."""
    text = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decoded(stored: bytes) -> Iterator[list[Any]]:
    """The lines that were stored.

    Raises:
        ValueError: If one of them is not as it was stored.
    """
    for line in stored.splitlines():
        crc, _, text = line.partition(b" ")
        if int(crc, 16) != zlib.crc32(text):
            raise ValueError("a line with a wrong checksum")
        yield json.loads(text)


def line_of(metric: Identity) -> list[Any]:
    """The line of a metric."""
    scope = metric.scope
    scope_line = [scope.name, scope.version, scope.schema_url, scope.attributes]
    return [METRIC, metric.name, metric.kind.value, metric.unit, metric.description, metric.bounds, scope_line]


def metric_of(name: str, kind: str, unit: str, description: str, bounds: list[float], scope: list[Any]) -> Identity:
    """The metric of a line."""
    scope_name, version, schema_url, attributes = scope
    pairs = tuple((str(key), _value(value)) for key, value in attributes)
    return Identity(
        name, Kind(kind), unit, description, tuple(map(float, bounds)), Scope(scope_name, version, schema_url, pairs)
    )


def values_of(values: list[Any]) -> tuple[Value, ...]:
    """The values of labels."""
    return tuple(map(_value, values))


def _value(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value
