"""Do the queries of alerts and dashboards parse and answer?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity
from telemetry.cli.doctor.server import Rule
from telemetry.cli.known import known
from telemetry.cli.prometheus_api import Prometheus, PrometheusError
from telemetry.shipped import shipped

_AT_ONCE = 8
_VARIABLES = {"$__rate_interval": "1m", "$__interval": "1m", "$__range": "1h", "$__from": "0", "$__to": "0"}
_RULE_NAME = re.compile(r"^ *- (alert|record): (\S+)$", re.MULTILINE)
_WORD = re.compile(r"[a-zA-Z_:][\w:]*")
_CHOSEN = re.compile(r"\$\{?(?!__)(\w+)(:\w+)?\}?")

RULE = Cause(
    "rule-fails",
    "A rule about the fleet cannot be evaluated, so its alert never fires.",
    "correct the expression; series of two jobs that should be one are a frequent cause (many-to-many)",
)
UNTOLD = Cause(
    "alerts-reach-nobody",
    "Prometheus evaluates alerts of the fleet and has no Alertmanager to tell.",
    "name one under `alerting:` in its configuration; grafana/alertmanager.yml has the routes",
    severity=Severity.WARNING,
)
PANEL = Cause(
    "dashboard-query-fails",
    "A query of a dashboard cannot be evaluated.",
    "take the dashboards that belong to this version, of `fleet-telemetry files DIRECTORY --prometheus VERSION` where "
    "Prometheus is older than 3.16; or correct the panel",
)


def _run(case: Case) -> Iterator[Finding]:
    if case.prometheus is None or case.prometheus.get().problem:
        return
    server = case.prometheus.get()
    failing = [rule for rule in server.rules if rule.error and _is_about_the_fleet(rule)]
    if failing:
        yield RULE.found(
            f"{len(failing)} rules fail: {', '.join(rule.name for rule in failing[:3])}",
            *(f"{rule.name}: {rule.error}" for rule in failing[:3]),
        )
    alerts = sorted({rule.name for rule in server.rules} & _shipped("alert"))
    if alerts and server.alertmanagers == ():
        yield UNTOLD.found(
            f"{len(alerts)} alerts of the fleet reach nobody: Prometheus knows no Alertmanager", *alerts[:3]
        )
    if case.asked.dashboards:
        yield from _panels(Path(case.asked.dashboards), server.api)


def _is_about_the_fleet(rule: Rule) -> bool:
    """One that is shipped, or names a metric of the catalogue; a Prometheus may have rules of others."""
    return rule.name in _shipped("alert", "record") or not known().by_name.keys().isdisjoint(_WORD.findall(rule.query))


@cache
def _shipped(*kinds: str) -> frozenset[str]:
    """Names of shipped rules of these kinds."""
    files = (file for name, file in shipped().items() if name.endswith(".yaml") and name.startswith("grafana/"))
    return frozenset(name for file in files for kind, name in _RULE_NAME.findall(file.read_text()) if kind in kinds)


def _panels(directory: Path, api: Prometheus) -> Iterator[Finding]:
    queries = [query for file in sorted(directory.rglob("*.json")) for query in _queries(file)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        failed = [said for said in pool.map(lambda query: _failure(api, *query), queries) if said]
    if failed:
        yield PANEL.found(f"{len(failed)} of {len(queries)} queries of dashboards fail", *failed[:3])


def _queries(file: Path) -> Iterator[tuple[str, str]]:
    """Title of the panel and expression of every query of a dashboard."""
    try:
        dashboard = json.loads(file.read_text())
    except (OSError, ValueError):
        return
    yield from _of_panels(dashboard.get("panels", []) if isinstance(dashboard, dict) else [])


def _of_panels(panels: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for panel in panels:
        targets = panel.get("targets") or []
        yield from ((str(panel.get("title", "")), target["expr"]) for target in targets if target.get("expr"))
        yield from _of_panels(panel.get("panels") or [])


def _failure(api: Prometheus, title: str, expression: str) -> str:
    """What Prometheus says against a query; empty where it evaluates it."""
    try:
        api.query(_filled(expression))
    except PrometheusError as error:
        return f"{title}: {error}"
    return ""


def _filled(expression: str) -> str:
    """As Grafana sends it, with everything chosen."""
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value).replace(f"${{{name[1:]}}}", value)
    return _CHOSEN.sub(".*", expression)


CHECK = Check(
    name="queries",
    asks="Do the queries of alerts and dashboards parse and answer?",
    causes=(RULE, UNTOLD, PANEL),
    run=_run,
)
