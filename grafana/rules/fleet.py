"""A recorded series per metric for the whole fleet, behind any number of collectors: ``fleet:<metric>:…``."""

from __future__ import annotations

from typing import Any

from app.catalogue import FLEET
from telemetry.catalogue import HistogramSpec, Spec
from telemetry.shipped import ANCHORED

Rule = dict[str, Any]
WHOSE = ("environment", "service_namespace")  # of every series; one without a namespace stays without


def group() -> dict[str, Any]:
    """The rule group; a new metric of the catalogue is in it without being told."""
    return {"name": "fleet", "interval": "30s", "rules": [rule for spec in FLEET.specs for rule in _rules(spec)]}


def _rules(spec: Spec[Any]) -> list[Rule]:
    base, labels = spec.name.removesuffix("_total"), ", ".join((*WHOSE, *spec.label_keys))
    if isinstance(spec, HistogramSpec):
        return [
            {"record": f"fleet:{base}_{part}:rate5m", "expr": f"sum by ({names}) (rate({base}_{part}[5m]{ANCHORED}))"}
            for part, names in (("bucket", f"{labels}, le"), ("sum", labels), ("count", labels))
        ]
    expressions = {
        "counter": ("rate5m", f"sum by ({labels}) (rate({spec.name}[5m]{ANCHORED}))"),
        # A process whose exports went to two collectors is on both for a minute: it counts once.
        "level": ("sum", f"sum by ({labels}) (max by (instance, {labels}) ({spec.name}))"),
        "fact": ("max", f"max by ({labels}) ({spec.name})"),
    }
    operation, expression = expressions[spec.kind]
    return [{"record": f"fleet:{base}:{operation}", "expr": expression}]
