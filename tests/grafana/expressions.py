"""Every PromQL expression users get from ``grafana/``: panels, variables, rules, queries; none is written here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana.boards.variables import WHOSE_LEGEND
from telemetry.looks import COUNT
from telemetry.testing.files import Expression, filled_in, rules

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "grafana"
RULE_FILES = sorted((GRAFANA / "alerts").glob("*.yaml"))
SHOWN = 0
DASHBOARD_FILES = sorted((GRAFANA / "dashboards").glob("*.json"))


@dataclass(frozen=True)
class Panel:
    """One panel of a dashboard file."""

    board: str
    title: str
    queries: tuple[str, ...]
    model: Mapping[str, Any]

    @property
    def name(self) -> str:
        """For test ids and messages."""
        return f"{self.board}/{self.title}"

    @property
    def legends(self) -> tuple[str, ...]:
        """Of each query, where more than one environment is chosen."""
        return tuple(target["legendFormat"].replace("$whose", WHOSE_LEGEND) for target in self.model["targets"])

    @property
    def runbooks(self) -> list[str]:
        """Names of the pages it links to."""
        return [link["url"].removeprefix("${VAR_RUNBOOKS}/") for link in self.model["links"]]

    @property
    def counts(self) -> bool:
        """Whether it shows counts, of a time range or of now."""
        return self.model["type"] != "timeseries" and self.model["fieldConfig"]["defaults"]["unit"] == COUNT

    def uses(self, variable: str) -> bool:
        """Whether the value of a variable changes what it shows."""
        return any(f"${variable}" in query for query in self.queries)


def dashboards() -> dict[str, dict[str, Any]]:
    """Dashboard files by name."""
    return {path.stem: json.loads(path.read_text()) for path in DASHBOARD_FILES}


def all_panels(model: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows and panels of a dashboard file, those in folded rows included."""
    for panel in model.get("panels", ()):
        yield panel
        yield from all_panels(panel)


def panels() -> list[Panel]:
    """Every panel that asks something, of every dashboard."""
    return [
        Panel(board, model["title"], tuple(target["expr"] for target in model["targets"]), model)
        for board, body in dashboards().items()
        for model in all_panels(body)
        if model["type"] != "row"
    ]


def variables(board: str) -> dict[str, str]:
    """Name and query of the variables that people choose and whose values come from the data source."""
    listed = dashboards()[board]["templating"]["list"]
    return {
        variable["name"]: variable["query"]
        for variable in listed
        if variable["type"] == "query" and variable["hide"] == SHOWN
    }


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert that a Prometheus of ours evaluates, by name."""
    return {rule["alert"]: rule for path in RULE_FILES for rule in rules(path) if "alert" in rule}


def recordings() -> dict[str, str]:
    """Expression of every recorded series by its name."""
    return {rule["record"]: rule["expr"] for path in RULE_FILES for rule in rules(path) if "record" in rule}


def custom_queries() -> dict[str, str]:
    """Title and expression of every query in ``grafana/queries.promql``."""
    paragraphs = (GRAFANA / "queries.promql").read_text().split("\n\n")[1:]
    halves = (paragraph.strip().partition("\n") for paragraph in paragraphs)
    return {title.removeprefix("# "): expression for title, _, expression in halves}


def of_pages() -> list[Expression]:
    """Every PromQL block of the documentation, to be pasted."""
    pages = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "runbooks").glob("*.md")])
    return [
        Expression(f"{page.name}/{number}", block)
        for page in pages
        for number, block in enumerate(re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL), 1)
    ]


def of_dashboards() -> Iterator[Expression]:
    """Every query of every panel, with all variables at All."""
    for panel in panels():
        for query in panel.queries:
            yield Expression(panel.name, filled_in(query))


def of_rules() -> Iterator[Expression]:
    """Every alert and recording."""
    for path in RULE_FILES:
        for rule in rules(path):
            yield Expression(f"{path.name}/{rule.get('alert') or rule['record']}", rule["expr"])
