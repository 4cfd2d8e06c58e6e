"""Do the clocks of this host, the collector and Prometheus agree?"""

from __future__ import annotations

from collections.abc import Iterator

from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding

_MOST = 5.0  # seconds; a header of HTTP tells whole ones

SKEW = Cause(
    "clock-skew",
    "Two clocks differ: rates, ages and alerts are wrong by that.",
    "let NTP run on both hosts (`timedatectl`, `chronyc tracking`)",
    explains=("series-stale",),
)


def _run(case: Case) -> Iterator[Finding]:
    if case.pages is not None:
        ahead = case.pages.totals.get().answer.ahead()
        if ahead is not None:
            yield from _compared("the collector", ahead, 1.0)
    if case.prometheus is not None and not case.prometheus.get().problem:
        server = case.prometheus.get()
        yield from _compared("Prometheus", server.ahead, server.uncertain)


def _compared(whose: str, ahead: float, uncertain: float) -> Iterator[Finding]:
    if abs(ahead) - uncertain > _MOST:
        yield SKEW.found(
            f"the clock of {whose} is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this host's"
        )


CHECK = Check(
    name="clock",
    asks="Do the clocks of this host, the collector and Prometheus agree?",
    causes=(SKEW,),
    run=_run,
)
