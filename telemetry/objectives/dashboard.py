"""A Grafana dashboard of objectives: what is left of each allowance, and how fast it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from telemetry.looks import (
    CALCS,
    COUNT,
    FIRING,
    GREEN,
    NEUTRAL,
    NOTHING,
    ORANGE,
    RED,
    SORTED_BY,
    or_no_alert,
    ranked,
)
from telemetry.objectives.declared import Objective
from telemetry.objectives.indicators import WHOSE
from telemetry.objectives.rules import FAST, SPEEDS, bad_share
from telemetry.runbooks import page

Model = dict[str, Any]
TAG = "objectives"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_INPUT = "DS_PROMETHEUS"
_CHOSEN = '{environment=~"$environment", service_namespace=~"$service_namespace"}'
_WHOSE = "{{environment}} {{service_namespace}}"
_HEIGHT = 9
_FIRING_HEIGHT = 4
_SHOWN_WINDOWS = ("5m", "1h", "6h")
_LEAST_GRAFANA = "10.1.0"


def dashboard(objectives: Sequence[Objective], uid: str, title: str, runbooks: str) -> Model:
    """Grafana's model of it, as an import takes it.

    Args:
        objectives: A row for each.
        uid: In its address.
        title: For people.
        runbooks: Where runbooks are, as `runbooks.page` takes it.
    """
    rows = (panel for number, objective in enumerate(objectives) for panel in _row(number, objective, runbooks))
    panels = [_firing(objectives, runbooks), *rows]
    return {
        "__inputs": [
            {
                "name": _INPUT,
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": _LEAST_GRAFANA},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": kind, "name": kind, "version": ""} for kind in ("stat", "timeseries")),
        ],
        "uid": uid,
        "title": title,
        "description": "What is promised, and what is left of what may go wrong.",
        "tags": ["fleet-telemetry", TAG],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 36,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "annotations": {},
        "templating": {"list": _variables()},
        "panels": [{"id": number, **panel} for number, panel in enumerate(panels, 1)],
    }


def _variables() -> list[Model]:
    source = f"${{{_INPUT}}}"
    chosen = {"text": source, "value": source, "selected": True}
    return [
        {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "current": chosen},
        _variable("environment", "Environment"),
        _variable("service_namespace", "Service namespace"),
    ]


def _variable(name: str, label: str) -> Model:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "query": f"label_values({name})",
        "datasource": _SOURCE,
        "current": {"text": "All", "value": "$__all", "selected": True},
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "refresh": 2,
        "sort": 1,
    }


def _row(number: int, objective: Objective, runbooks: str) -> Iterator[Model]:
    top = _FIRING_HEIGHT + number * (_HEIGHT + 1)
    links = [
        {
            "title": f"Runbook: {speed.name(objective)}",
            "type": "link",
            "url": page(runbooks, speed.name(objective)),
            "targetBlank": True,
        }
        for speed in SPEEDS
    ]
    title = f"{objective.name}: {objective.target:g} % of {objective.promise}, over {objective.window} days"
    yield {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _at(0, top, 24, 1)}
    for left, panel in ((0, _left(objective)), (4, _now(objective)), (8, _events(objective))):
        yield {**panel, "gridPos": _at(left, top + 1, 4, _HEIGHT), "links": links}
    yield {**_burning(objective), "gridPos": _at(12, top + 1, 12, _HEIGHT), "links": links}


def _at(left: int, top: int, width: int, height: int) -> Model:
    return {"x": left, "y": top, "w": width, "h": height}


def _firing(objectives: Sequence[Objective], runbooks: str) -> Model:
    """Which alerts of these objectives fire; a click on one leads to its runbook."""
    names = "|".join(speed.name(objective) for objective in objectives for speed in SPEEDS)
    ours = ranked(f'alertname=~"{names}"')
    fire = f"max by (alertname, {', '.join(WHOSE)}) ({ours})"
    panel = _stat(
        "Alerts firing",
        "Those of these objectives, of all environments. A click on one leads to its runbook.",
        or_no_alert(fire),
        "none",
        {None: GREEN, 1: ORANGE},
        legend=f"{{{{alertname}}}} {_WHOSE}",
        texts=FIRING,
        decimals=0,
    )
    runbook = {"title": "Runbook", "url": page(runbooks, "${__field.labels.alertname}"), "targetBlank": True}
    panel["fieldConfig"]["defaults"]["links"] = [runbook]
    return {**panel, "gridPos": _at(0, 0, 24, _FIRING_HEIGHT)}


def _left(objective: Objective) -> Model:
    def total(what: str) -> str:
        return f"sum_over_time({objective.series(what)}{_CHOSEN}[{objective.window}d])"

    share = f"{total('bad_rate5m')} / ({total('all_rate5m')} > 0)"
    return _stat(
        "Allowance left",
        f"What is left of the allowance of {objective.window} days, of as many of them as Prometheus keeps. Below 0 "
        "the objective is missed: hold back what is risky until it is kept again.",
        f"1 - {share} / {objective.allowed:.6g}",
        "percentunit",
        {None: RED, 0: ORANGE, 0.25: GREEN},
        decimals=0,
    )


def _now(objective: Objective) -> Model:
    too_fast = min(0.9, FAST.burns[0].factor(objective.window) * objective.allowed)
    return _stat(
        "Bad within an hour",
        f"Share of bad events. {objective.allowed:.4%} are allowed.",
        f"{bad_share(objective, '1h')}{_CHOSEN}",
        "percentunit",
        {None: GREEN, objective.allowed: ORANGE, too_fast: RED},
    )


def _events(objective: Objective) -> Model:
    return _stat(
        "Events within an hour",
        f"Good and bad together. Fewer than {objective.least_events} raise no alert.",
        f"{objective.series('events1h')}{_CHOSEN}",
        COUNT,
        {None: NEUTRAL},
        decimals=0,
    )


def _burning(objective: Objective) -> Model:
    shares = {f"{window} · {_WHOSE}": f"{bad_share(objective, window)}{_CHOSEN}" for window in _SHOWN_WINDOWS}
    return {
        "type": "timeseries",
        "title": "Share of bad events",
        "description": "Within windows of several lengths. Above the line for long, the allowance does not last.",
        "datasource": _SOURCE,
        "targets": _targets(shares),
        "options": {
            "legend": {
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
                "calcs": list(CALCS),
                "sortBy": SORTED_BY,
                "sortDesc": True,
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "fieldConfig": {
            "defaults": {
                "unit": "percentunit",
                "min": 0,
                "noValue": NOTHING,
                "thresholds": _thresholds({None: GREEN, objective.allowed: RED}),
                "custom": {
                    "fillOpacity": 5,
                    "thresholdsStyle": {"mode": "dashed"},
                    "axisSoftMax": 2 * objective.allowed,
                },
            },
            "overrides": [],
        },
    }


def _stat(
    title: str,
    description: str,
    query: str,
    unit: str,
    steps: Mapping[float | None, str],
    *,
    legend: str = _WHOSE,
    texts: Mapping[int, tuple[str, str]] | None = None,
    decimals: int = 2,
) -> Model:
    return {
        "type": "stat",
        "title": title,
        "description": description,
        "datasource": _SOURCE,
        "targets": [{**target, "instant": True, "range": False} for target in _targets({legend: query})],
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"]},
            "graphMode": "none",
            "colorMode": "value",
            "textMode": "auto",
        },
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "decimals": decimals,
                "noValue": NOTHING,
                "mappings": _mappings(texts or {}),
                "thresholds": _thresholds(steps),
            },
            "overrides": [],
        },
    }


def _mappings(texts: Mapping[int, tuple[str, str]]) -> list[Model]:
    """No value is neither good nor bad: without this Grafana draws it in the colour of a value below all steps."""
    nothing = {"text": NOTHING, "color": NEUTRAL, "index": 0}
    written = {
        str(value): {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(texts.items(), 1)
    }
    special = {"type": "special", "options": {"match": "null+nan", "result": nothing}}
    return [special, *([{"type": "value", "options": written}] if written else [])]


def _thresholds(steps: Mapping[float | None, str]) -> Model:
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps.items()]}


def _targets(queries: Mapping[str, str]) -> list[Model]:
    return [
        {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend, "datasource": _SOURCE}
        for number, (legend, query) in enumerate(queries.items())
    ]
