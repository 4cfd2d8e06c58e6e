"""The monitoring guide's PromQL: its custom queries and its alert expressions, from the files users get."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def custom_queries() -> dict[str, str]:
    """Title and expression of every query in ``grafana/queries.promql``."""
    paragraphs = (ROOT / "grafana" / "queries.promql").read_text().split("\n\n")[1:]
    queries = {}
    for paragraph in paragraphs:
        title, _, expression = paragraph.strip().partition("\n")
        queries[title.removeprefix("# ")] = expression
    return queries


def alert_expressions() -> dict[str, str]:
    """Name and expression of every alert of the guide, word for word."""
    rules = yaml.safe_load((ROOT / "docs" / "guide-alerts.yaml").read_text())
    return {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
