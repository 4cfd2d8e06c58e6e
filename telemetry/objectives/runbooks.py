"""A page for each alert of an objective."""

from __future__ import annotations

from telemetry.objectives.declared import Objective
from telemetry.objectives.rules import SPEEDS, Speed, bad_share

_PAGE = """# {alert}

Objective over {window} days: {target:g} % of {promise}.

The allowance of the objective is being used up {speed}: at this rate it is gone within {days}. Two windows agree,
so it is no spike and it is still going on.

## Look

How bad, over both windows:

```promql
{short}
```

```promql
{long}
```

What is bad:

```promql
{culprits}
```

## Do

{remedy}

## When it is wrong

Fewer than {least_events} events in the last hour never raise it. The objective is declared in `{where}`; change it
there if it is not yours.
"""
_REMEDY = "Find what the bad events have in common, and whether it began with a deployment: then roll that back."
_NOT_URGENT = "It is not urgent: plan the repair for this week, and hold back risky deployments."


def pages(objective: Objective) -> dict[str, str]:
    """Text by the name of the alert."""
    return {speed.name(objective): _page(objective, speed) for speed in SPEEDS}


def _page(objective: Objective, speed: Speed) -> str:
    is_slow = speed.burn == "slow"
    remedy = objective.remedy.strip() or _REMEDY
    burn = speed.burns[0]
    return _PAGE.format(
        alert=speed.name(objective),
        window=objective.window,
        target=objective.target,
        promise=objective.promise,
        speed="slowly" if is_slow else "fast",
        days=_days(*speed.days(objective)),
        short=bad_share(objective, burn.short),
        long=bad_share(objective, burn.long),
        culprits=objective.indicator.culprits,
        remedy=f"{remedy} {_NOT_URGENT}" if is_slow else remedy,
        least_events=objective.least_events,
        where=objective.where,
    )


def _days(first: int, last: int) -> str:
    return f"{first} to {last} days" if first != last else f"{last} days"
