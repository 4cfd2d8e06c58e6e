"""What a Prometheus says of itself: version, flags, targets and rules, asked once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from telemetry.cli.prometheus_api import Prometheus, PrometheusError, Target


@dataclass(frozen=True)
class Rule:
    """A rule that it evaluates.

    Attributes:
        name: Of the alert, or of the series that is recorded.
        query: What is evaluated.
        error: Why the last evaluation failed; empty where it did not.
    """

    name: str
    query: str
    error: str


@dataclass(frozen=True)
class PrometheusServer:
    """One server as it was when it was asked.

    Attributes:
        api: To ask it more.
        problem: Why it cannot be asked; empty where it can.
        major: Of its version; one that does not know its own is a 3.
        features: Those that ``--enable-feature`` names.
        targets: What it scrapes.
        rules: What it evaluates.
        ahead: By how many seconds its clock is ahead of ours.
        uncertain: How exactly that is known, in seconds.
        alertmanagers: Addresses of those it tells of alerts; ``None`` where it does not say.
    """

    api: Prometheus
    problem: str = ""
    major: int = 3
    features: frozenset[str] = frozenset()
    targets: tuple[Target, ...] = ()
    rules: tuple[Rule, ...] = ()
    ahead: float = 0.0
    uncertain: float = 0.0
    flags: Mapping[str, str] = field(default_factory=dict)
    alertmanagers: tuple[str, ...] | None = None

    def target_of(self, port: int) -> list[Target]:
        """The targets with this port."""
        return [target for target in self.targets if re.search(rf":{port}(/|$)", target.url)]


def asked(api: Prometheus) -> PrometheusServer:
    """Ask a server; one that does not answer is one with a problem."""
    try:
        version = str(api.ask("status/buildinfo").get("version", ""))
        flags = api.ask("status/flags")
        ahead, uncertain = api.clock()
        return PrometheusServer(
            api=api,
            major=int(version.partition(".")[0]) if version[:1].isdigit() else 3,
            features=frozenset(filter(None, re.split(r"[,\[\] ]", flags.get("enable-feature", "")))),
            targets=tuple(api.targets()),
            rules=tuple(_rules(api.ask("rules"))),
            ahead=ahead,
            uncertain=uncertain,
            alertmanagers=_alertmanagers(api),
        )
    except (PrometheusError, KeyError, TypeError, ValueError) as error:
        return PrometheusServer(api, problem=str(error))


def _alertmanagers(api: Prometheus) -> tuple[str, ...] | None:
    try:
        return tuple(str(each["url"]) for each in api.ask("alertmanagers")["activeAlertmanagers"])
    except (PrometheusError, KeyError, TypeError):
        return None


def _rules(said: Mapping[str, Any]) -> list[Rule]:
    return [
        Rule(rule.get("name", ""), rule.get("query", ""), rule.get("lastError", ""))
        for group in said["groups"]
        for rule in group["rules"]
    ]
