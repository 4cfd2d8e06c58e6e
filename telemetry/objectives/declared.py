"""One objective, as it was declared."""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.objectives.indicators import Indicator

LEAST_EVENTS = 100
WINDOW = 30


@dataclass(frozen=True)
class Objective:
    """One promise to users.

    Attributes:
        name: In series: ``slo:<name>:…``.
        promise: What is promised, to be read after "99.5 % of".
        target: The share that is promised to be good, in percent.
        indicator: What is good and what is bad.
        window: The days over which it is promised.
        least_events: In an hour; fewer say nothing about a share.
        remedy: What to do, for the runbook; in Markdown.
        where: Which file declares it, for the runbook.
    """

    name: str
    promise: str
    target: float
    indicator: Indicator
    window: int = WINDOW
    least_events: int = LEAST_EVENTS
    remedy: str = ""
    where: str = ""

    @property
    def alert(self) -> str:
        """What its alerts begin with: ``HttpAvailability`` of ``http_availability``."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def good_share(self) -> float:
        """Of 1."""
        return self.target / 100

    @property
    def allowed(self) -> float:
        """The share that may be bad, of 1."""
        return round(1 - self.good_share, 12)

    def series(self, what: str) -> str:
        """The name of a recorded series."""
        return f"slo:{self.name}:{what}"
