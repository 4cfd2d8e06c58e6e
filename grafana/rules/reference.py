"""The parts of ``docs/alerts.md`` that follow from the rule files; ``docs.generate`` puts them there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).parents[2]
_GUIDE = _ROOT / "docs" / "guide-alerts.yaml"
_ALERTS = _ROOT / "grafana" / "alerts"

REASONS = {
    "NoActiveWorkers": (
        "A sum over nothing is nothing, not 0: where no process reports workers at all (the broker is down, "
        "every process is gone), the guide's expression stays silent. Its sum also runs over all "
        "environments: prod's workers may all be dead while one in dev lives. Behind several collectors each "
        "worker would count once for each of them."
    ),
    "HighTaskFailureRate": (
        "Divides what failed now by what was submitted now: tasks of a burst that fail later divide by 0, a "
        "growing backlog hides that everything fails, and behind several collectors both sides have different "
        "labels. Here the whole is what ended. Retries are neither."
    ),
    "QueueBacklog": ("Behind several collectors it fires once for each."),
    "HighErrorRate": (
        "Adds up environments, so errors of stage disappear in the traffic of prod; and counts health probes, "
        "which answer 200 all night: with 4 requests a minute, all failing, among 100 probes, the guide's "
        "share stays under 5 %."
    ),
    "HighResponseTime": (
        "One slow request on a quiet route is its own P95. Here a route needs 5 requests within 5 minutes. "
        "Streams last as long as the reply and are left out. Behind several collectors, buckets are added up "
        "before the quantile."
    ),
    "HighLLMCost": (
        "Evaluated once an hour, it notices up to an hour late, and Prometheus shows it as firing for five "
        "minutes of each hour only. Here every minute. The threshold and the window are the same."
    ),
    "LowCacheHitRate": (
        "A cache that never answered has no series, so the guide's expression is silent in the worst case. It "
        "also adds up environments, and evaluates once an hour."
    ),
}


def overview() -> str:
    """A row for each alert that Prometheus evaluates."""
    rows = ["| Alert | Severity | After | Means | Runbook |", "|---|---|---|---|---|"]
    for path in sorted(_ALERTS.glob("*.yaml")):
        for rule in _alerts(path):
            name, after = rule["alert"], rule.get("for", "at once")
            meaning = rule["annotations"]["summary"]
            rows.append(
                f"| `{name}` | {rule['labels']['severity']} | {after} | {meaning} | [page](runbooks/{name}.md) |"
            )
    return "\n".join(rows)


def comparison() -> str:
    """The guide's seven: its expression, ours, and the reason."""
    ours = {rule["alert"]: rule for rule in _alerts(_ALERTS / "guide.yaml")}
    return "\n\n".join(_compared(rule, ours[rule["alert"]]) for rule in _alerts(_GUIDE))


def _compared(literal: dict[str, Any], ours: dict[str, Any]) -> str:
    name = literal["alert"]
    return "\n".join(
        (
            f"### `{name}`",
            "",
            REASONS[name],
            "",
            "The guide's:",
            "",
            f"```\n{literal['expr'].strip()}\n```",
            "",
            "Evaluated:",
            "",
            f"```promql\n{ours['expr'].strip()}\n```",
        )
    )


def _alerts(path: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load(path.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]
