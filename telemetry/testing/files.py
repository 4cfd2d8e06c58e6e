"""The PromQL expressions of Grafana dashboards and Prometheus rule files, and what is wrong with them.

Needs the extra ``fleet-telemetry[testing]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from telemetry.catalogue import BUILT_IN
from telemetry.catalogue.loading import Modules, extended
from telemetry.testing.promql import check, labels_of
from telemetry.testing.series import OF_OTHERS, Series, of_catalogue

# What Grafana puts in for these; any value that parses does.
BUILT_IN_VARIABLES = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h"}
ALL = ".*"
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})")
_DURATION = re.compile(r"(?<=\[)\$\{?(?!__)\w+(?::\w+)?\}?")


class Expression(NamedTuple):
    """One expression and where it stands, for the message."""

    where: str
    text: str


def check_files(
    paths: Iterable[Path | str], catalogue: Modules = (), *, also: Mapping[str, Series] | None = None
) -> list[str]:
    """What is wrong with the queries of dashboards (``.json``) and rule files (``.yaml``): nothing where it is empty.

    Metrics, labels and values exist, rates are of counters, both sides of an operator match, environments stay apart.
    What rules record can be queried by the others.

    Args:
        paths: The files.
        catalogue: The modules that declare the application's own metrics, as ``telemetry.configure`` takes them.
        also: Series of others that are queried, by name.

    Raises:
        CatalogueError: If a module cannot be in the catalogue.
    """
    files = sorted(map(Path, paths))
    known = of_catalogue(extended(BUILT_IN, catalogue)) | OF_OTHERS | dict(also or {})
    problems = [problem for path in files if path.suffix != ".json" for problem in _check_rules(path, known)]
    for expression in (found for path in files if path.suffix == ".json" for found in of_dashboard(path)):
        problems += _problems(expression, known)
    return problems


def _check_rules(path: Path, known: dict[str, Series]) -> Iterator[str]:
    for rule in rules(path):
        expression = Expression(f"{path.name}/{rule.get('alert') or rule['record']}", rule["expr"])
        wrong = _problems(expression, known)
        yield from wrong
        if "record" in rule:
            known[rule["record"]] = Series("gauge", frozenset() if wrong else labels_of(rule["expr"], known))


def _problems(expression: Expression, known: Mapping[str, Series]) -> list[str]:
    try:
        return [f"{expression.where}: {problem}" for problem in check(expression.text, known)]
    except ValueError as error:  # of the parser
        return [f"{expression.where}: {error}"]


def rules(path: Path) -> list[dict[str, Any]]:
    """The rules of a file, alerts and recordings."""
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def of_dashboard(path: Path) -> Iterator[Expression]:
    """Every query of every panel, those in folded rows included, with all variables at All."""
    for panel in _panels(json.loads(path.read_text())):
        for target in panel.get("targets", ()):
            if target.get("expr"):
                yield Expression(f"{path.stem}/{panel.get('title', '')}", filled_in(target["expr"]))


def _panels(model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for panel in model.get("panels", ()):
        yield panel
        yield from _panels(panel)


def filled_in(
    query: str, values: Mapping[str, str] | None = None, built_in: Mapping[str, str] = BUILT_IN_VARIABLES
) -> str:
    """The query as Grafana sends it: variables replaced, chosen values escaped as its Prometheus data source does."""
    chosen = values or {}

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name in built_in:
            return built_in[name]
        return escaped(chosen[name]) if name in chosen else ALL

    return _VARIABLE.sub(value, _DURATION.sub("5m", query))


def escaped(value: str) -> str:
    """A chosen value inside a quoted regular expression; ``prometheusSpecialRegexEscape`` in Grafana."""
    return re.sub(r"[$^*{}\[\]\'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\\\\\\\"))
