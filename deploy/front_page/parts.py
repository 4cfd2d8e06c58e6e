"""The parts of the fleet and their states, as the process manager knows them, in words for people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from deploy.manager import State

_KINDS = {
    "nginx": "Front door",
    "app": "API replica",
    "worker": "Worker",
    "beat": "Scheduler",
    "redis": "Redis",
    "simulated-llm": "Simulated LLM vendor",
    "collector": "Collector",
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
    "flower": "Flower",
    "preview": "Dashboards",
    "grafana": "Grafana",
    "front-page": "This page",
}


def parts(states: Iterable[State]) -> list[dict[str, Any]]:
    """Each part, in the order of a request's way; one that is not known here goes by its process' name."""
    found = [_part(state) for state in states]
    order = list(_KINDS.values())
    return sorted(
        found, key=lambda part: (order.index(part["kind"]) if part["kind"] in order else len(order), part["name"])
    )


def _part(state: State) -> dict[str, Any]:
    kind = _KINDS.get(re.sub(r"-?\d+$", "", state.name), state.name)
    return {
        "name": state.name,
        "kind": kind,
        "state": state.status.lower(),
        "runs": state.status == "RUNNING",
        "seconds": state.running_seconds,
    }
