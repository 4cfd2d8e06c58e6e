"""The objectives of ``grafana/objectives.yaml``, and what panels on them need to know."""

from __future__ import annotations

from pathlib import Path

from app.catalogue import FLEET
from telemetry.objectives.indicators import NO_PROBES, PLAIN, bound
from telemetry.objectives.reading import Known, read

__all__ = [
    "FAST_ENOUGH",
    "HTTP_AVAILABILITY",
    "HTTP_LATENCY",
    "NO_PROBES",
    "OBJECTIVES",
    "PLAIN",
    "SOURCE",
    "TASK_SUCCESS",
]

SOURCE = Path(__file__).parent.parent / "objectives.yaml"
FAST_ENOUGH = bound(2.5)
OBJECTIVES = read(SOURCE, Known(FLEET), where="grafana/objectives.yaml").declared
HTTP_AVAILABILITY, HTTP_LATENCY, TASK_SUCCESS = OBJECTIVES
