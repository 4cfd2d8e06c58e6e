"""Which alerts fire: numbers by severity, which open each dashboard, and a list with a way to each runbook.

They are of all environments, whichever is chosen: an alert on the collector has none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana.boards.panels import BLUE, COUNT, GREEN, ORANGE, RED, Panel, bars, linking, number
from grafana.boards.promql import by
from grafana.boards.variables import runbook

_COLOURS = {"critical": RED, "warning": ORANGE, "info": BLUE}
_RANKED = (
    '3 * ALERTS{alertstate="firing", severity="critical"}'
    ' or 2 * ALERTS{alertstate="firing", severity="warning"}'
    ' or 1 * ALERTS{alertstate="firing"}'
)
_TEXTS = {3: ("critical", RED), 2: ("warning", ORANGE), 1: ("info", BLUE), 0: ("0", GREEN)}


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
    expression = f"max {by('alertname')} ({_RANKED})"
    panel = bars(
        "Alerts firing, by name",
        "none",
        "Of all environments, the most severe first. A click on one leads to its runbook.",
        {
            "{{alertname}} {{environment}} {{service_namespace}}": f"{expression} or on () "
            'label_replace(vector(0), "alertname", "none", "", "")'
        },
        base=GREEN,
        steps=((1, BLUE), (2, ORANGE), (3, RED)),
        texts=_TEXTS,
        width=width,
    )
    return linking(replace(panel, drawn=panel.drawn.max(3)), "Runbook", runbook("${__field.labels.alertname}"))


def _number_of(severity: str) -> str:
    return f'count(ALERTS{{alertstate="firing", severity="{severity}"}}) or vector(0)'


def _from_one_on(colour: str) -> DynamicConfigValue:
    steps: list[dict[str, Any]] = [{"value": None, "color": GREEN}, {"value": 1, "color": colour}]
    return DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps})
