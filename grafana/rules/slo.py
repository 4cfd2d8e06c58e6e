"""Service level objectives: what share of events may be bad, and alerts on how fast that allowance is used up.

Windows and factors are those of Google's SRE workbook, "Alerting on SLOs", for an objective over 30 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grafana.rules.fleet import WHOSE
from telemetry.shipped import RUNBOOKS

NO_PROBES = 'endpoint!~"/(healthz?|livez?|readyz?|metrics)"'
PLAIN = 'endpoint!~"/(healthz?|livez?|readyz?|metrics)|.*/stream"'
FAST_ENOUGH = 'le="2.5"'
_BY = f"by ({', '.join(WHOSE)})"
_FAILED = f"sum {_BY} (rate(celery_tasks_failed_total[5m]))"
_COMPLETED = f"sum {_BY} (rate(celery_tasks_completed_total[5m]))"
_WINDOWS = ("30m", "1h", "2h", "6h", "1d", "3d")
_LEAST_EVENTS = 100  # within an hour; fewer say nothing about a share


@dataclass(frozen=True)
class Objective:
    """One promise to users.

    Attributes:
        name: In series: ``slo:<name>:…``.
        alert: In alerts: ``<alert>BurnsFast`` and ``<alert>BurnsSlowly``.
        promise: What is promised, for the alert's text.
        good_share: Of 1.
        bad: Bad events a second.
        all: All events a second.
    """

    name: str
    alert: str
    promise: str
    good_share: float
    bad: str
    all: str


HTTP_AVAILABILITY = Objective(
    "http_availability",
    "HttpAvailability",
    "requests are answered without a server error",
    0.995,
    f'sum {_BY} (rate(http_requests_total{{status_code=~"5..", {NO_PROBES}}}[5m]))',
    f"sum {_BY} (rate(http_requests_total{{{NO_PROBES}}}[5m]))",
)
HTTP_LATENCY = Objective(
    "http_latency",
    "HttpLatency",
    "requests are answered within 2.5 s, streamed replies not counted",
    0.95,
    f"sum {_BY} (rate(http_request_duration_seconds_count{{{PLAIN}}}[5m]))"
    f" - sum {_BY} (rate(http_request_duration_seconds_bucket{{{FAST_ENOUGH}, {PLAIN}}}[5m]))",
    f"sum {_BY} (rate(http_request_duration_seconds_count{{{PLAIN}}}[5m]))",
)
TASK_SUCCESS = Objective(
    "task_success",
    "TaskSuccess",
    "tasks end well",
    0.99,
    _FAILED,
    f"({_COMPLETED} or {_FAILED} * 0) + ({_FAILED} or {_COMPLETED} * 0)",
)
OBJECTIVES = (HTTP_AVAILABILITY, HTTP_LATENCY, TASK_SUCCESS)


def group(objective: Objective) -> dict[str, Any]:
    """The recordings and the two alerts of an objective."""
    return {
        "name": f"slo_{objective.name}",
        "interval": "30s",
        "rules": [*_recordings(objective), *_alerts(objective)],
    }


def _recordings(objective: Objective) -> list[dict[str, Any]]:
    every, bad = f"slo:{objective.name}:all_rate5m", f"slo:{objective.name}:bad_rate5m"
    shares = {"5m": f"{bad} / ({every} > 0)"} | {
        window: f"sum_over_time({bad}[{window}]) / (sum_over_time({every}[{window}]) > 0)" for window in _WINDOWS
    }
    return [
        {"record": every, "expr": objective.all},
        {"record": bad, "expr": f"{objective.bad} or ({objective.all}) * 0"},
        *({"record": _share(objective, window), "expr": expression} for window, expression in shares.items()),
        {"record": f"slo:{objective.name}:events1h", "expr": f"avg_over_time({every}[1h]) * 3600"},
    ]


def _alerts(objective: Objective) -> list[dict[str, Any]]:
    fast, slow = ((14.4, "1h", "5m"), (6.0, "6h", "30m")), ((3.0, "1d", "2h"), (1.0, "3d", "6h"))
    return [
        _alert(objective, "BurnsFast", "critical", "2m", fast, "days"),
        _alert(objective, "BurnsSlowly", "warning", "15m", slow, "the month"),
    ]


def _alert(
    objective: Objective,
    suffix: str,
    severity: str,
    delay: str,
    windows: tuple[tuple[float, str, str], ...],
    used_up_within: str,
) -> dict[str, Any]:
    allowed, name = 1 - objective.good_share, f"{objective.alert}{suffix}"
    burns = " or ".join(
        f"({_share(objective, long)} > {factor * allowed:.4g} and {_share(objective, short)} > {factor * allowed:.4g})"
        for factor, long, short in windows
    )
    return {
        "alert": name,
        "expr": f"({burns}) and slo:{objective.name}:events1h >= {_LEAST_EVENTS}",
        "for": delay,
        "labels": {"severity": severity},
        "annotations": {
            "summary": f"{objective.good_share:.1%} of {objective.promise}: allowance used up within {used_up_within}",
            "description": "{{ $value | humanizePercentage }} are bad in {{ $labels.environment }}"
            "{{ with $labels.service_namespace }} of {{ . }}{{ end }}",
            "runbook_url": f"{RUNBOOKS}/{name}.md",
        },
    }


def _share(objective: Objective, window: str) -> str:
    return f"slo:{objective.name}:bad_share_{window}"
