"""Recordings of an objective, and alerts on how fast its allowance is used up.

Windows are those of Google's SRE workbook, "Alerting on SLOs", and so are the shares of the allowance that may be gone
within them; over 30 days these are its factors 14.4, 6, 3 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from telemetry.objectives.declared import Objective
from telemetry.runbooks import page

_WINDOWS = ("30m", "1h", "2h", "6h", "1d", "3d")
_OUTAGE = 0.9
"""A bad share that is always too much: of a low target several times the allowance is more than everything."""


@dataclass(frozen=True)
class Burn:
    """The allowance is used up too fast.

    Attributes:
        share: Of the allowance, gone within ``hours``.
        hours: The long window.
        long: The same, for PromQL.
        short: The window that says that it goes on.
    """

    share: float
    hours: int
    long: str
    short: str

    def factor(self, days: int) -> float:
        """How many times faster than an allowance of ``days`` lasts; never slower."""
        return max(1.0, self.share * days * 24 / self.hours)


@dataclass(frozen=True)
class Speed:
    """One of the two alerts of an objective.

    Attributes:
        suffix: Of the alert's name.
        burn: In its label ``burn``.
        severity: Of the alert.
        delay: For how long it has to be so.
        burns: Any of them raises it.
    """

    suffix: str
    burn: str
    severity: str
    delay: str
    burns: tuple[Burn, Burn]

    def name(self, objective: Objective) -> str:
        """The alert's."""
        return f"{objective.alert}{self.suffix}"

    def days(self, objective: Objective) -> tuple[int, int]:
        """After how many days the allowance is gone, at the faster and at the slower of its burns."""
        first, second = (round(objective.window / burn.factor(objective.window)) for burn in self.burns)
        return first, second


FAST = Speed("BurnsFast", "fast", "critical", "2m", (Burn(0.02, 1, "1h", "5m"), Burn(0.05, 6, "6h", "30m")))
SLOW = Speed("BurnsSlowly", "slow", "warning", "15m", (Burn(0.1, 24, "1d", "2h"), Burn(0.1, 72, "3d", "6h")))
SPEEDS = (FAST, SLOW)


def group(objective: Objective, runbooks: str) -> dict[str, Any]:
    """The rule group of an objective.

    Args:
        objective: The objective.
        runbooks: Where its runbooks are, as `runbooks.page` takes it.
    """
    return {
        "name": f"slo_{objective.name}",
        "interval": "30s",
        "rules": [*_recordings(objective), *(_alert(objective, speed, runbooks) for speed in SPEEDS)],
    }


def bad_share(objective: Objective, window: str) -> str:
    """The recorded share of bad events within a window."""
    return objective.series(f"bad_share_{window}")


def _recordings(objective: Objective) -> list[dict[str, Any]]:
    every, bad = objective.series("all_rate5m"), objective.series("bad_rate5m")
    shares = {"5m": f"{bad} / ({every} > 0)"} | {
        window: f"sum_over_time({bad}[{window}]) / (sum_over_time({every}[{window}]) > 0)" for window in _WINDOWS
    }
    return [
        {"record": every, "expr": objective.indicator.every},
        {"record": bad, "expr": f"{objective.indicator.bad} or ({objective.indicator.every}) * 0"},
        *({"record": bad_share(objective, window), "expr": expression} for window, expression in shares.items()),
        {"record": objective.series("events1h"), "expr": f"avg_over_time({every}[1h]) * 3600"},
    ]


def _alert(objective: Objective, speed: Speed, runbooks: str) -> dict[str, Any]:
    burns = " or ".join(_burns(objective, burn) for burn in speed.burns)
    _, days = speed.days(objective)
    return {
        "alert": speed.name(objective),
        "expr": f"({burns}) and {objective.series('events1h')} >= {objective.least_events}",
        "for": speed.delay,
        "labels": {"severity": speed.severity, "objective": objective.name, "burn": speed.burn},
        "annotations": {
            "summary": f"{objective.target:g}% of {objective.promise}: allowance used up within {days} days",
            "description": "{{ $value | humanizePercentage }} are bad{{ with $labels.environment }} in {{ . }}{{ end }}"
            "{{ with $labels.service_namespace }} of {{ . }}{{ end }}",
            "runbook_url": page(runbooks, speed.name(objective)),
        },
    }


def _burns(objective: Objective, burn: Burn) -> str:
    limit = f"{min(burn.factor(objective.window) * objective.allowed, _OUTAGE):.4g}"
    return f"({bad_share(objective, burn.long)} > {limit} and {bad_share(objective, burn.short)} > {limit})"
