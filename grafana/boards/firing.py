"""Which alerts fire: numbers by severity, which open each dashboard, and a list with a way to each runbook.

They are of all environments, whichever is chosen: an alert on the collector has none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana.boards.panels import Panel, bars, linking, number
from grafana.boards.promql import by
from grafana.boards.variables import runbook
from telemetry.looks import BLUE, COUNT, FIRING, GREEN, ORANGE, RED, or_no_alert, ranked

_COLOURS = {"critical": RED, "warning": ORANGE, "info": BLUE}


def firing(width: int = 8) -> Panel:
    """How many fire, by severity."""
    panel = number(
        "Alerts firing",
        COUNT,
        "Of all environments. Which they are, and their runbooks, says the dashboard Telemetry Health.",
        {severity: _number_of(severity) for severity in _COLOURS},
        width=width,
    )
    for letter, colour in zip("ABC", _COLOURS.values(), strict=True):
        panel = replace(panel, drawn=panel.drawn.override_by_query(letter, [_from_one_on(colour)]))
    return panel


def firing_by_name(width: int) -> Panel:
    """Each alert that fires; a click leads to its runbook."""
    expression = f"max {by('alertname')} ({ranked()})"
    panel = bars(
        "Alerts firing, by name",
        "none",
        "Of all environments, the most severe first. A click on one leads to its runbook.",
        {"{{alertname}} {{environment}} {{service_namespace}}": or_no_alert(expression)},
        base=GREEN,
        steps=((1, BLUE), (2, ORANGE), (3, RED)),
        texts=FIRING,
        width=width,
    )
    return linking(replace(panel, drawn=panel.drawn.max(3)), "Runbook", runbook("${__field.labels.alertname}"))


def _number_of(severity: str) -> str:
    return f'count(ALERTS{{alertstate="firing", severity="{severity}"}}) or vector(0)'


def _from_one_on(colour: str) -> DynamicConfigValue:
    steps: list[dict[str, Any]] = [{"value": None, "color": GREEN}, {"value": 1, "color": colour}]
    return DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps})
