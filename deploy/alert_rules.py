"""The alert rules as this fleet's Prometheus gets them: as they are, or with every duration divided, for drills."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deploy.settings import ROOT
from telemetry.shipped import Choices

FOLDER = ROOT / "grafana" / "alerts"
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNIT = "|".join(_SECONDS)
# A window of an expression, an offset, or a duration of a rule, of a group, of a route.
_KEYS = "for|interval|keep_firing_for|group_wait|group_interval|repeat_interval"
_DURATION = re.compile(rf"(\[|\boffset |^\s*(?:{_KEYS}): ?)(\d+)({_UNIT})\b", re.MULTILINE)
_LEAST_SCRAPES = 4  # fewer samples in a window, and a missed scrape leaves no rate


def files(speed: int, scrape_seconds: int, choices: Choices | None = None) -> Mapping[str, str]:
    """Every rule file by name.

    Args:
        speed: What durations are divided by.
        scrape_seconds: No window gets shorter than a few scrapes.
        choices: Where this fleet's runbooks are, and which Prometheus reads the rules.
    """
    texts = {path.name: (choices or Choices()).applied(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}
    return {name: faster(text, speed, scrape_seconds) for name, text in texts.items()}


def faster(text: str, speed: int, scrape_seconds: int) -> str:
    """A text of rules, or of Alertmanager's routes, with its durations divided; as it is where ``speed`` is 1."""
    if speed == 1:
        return text

    def divided(match: re.Match[str]) -> str:
        what, amount, unit = match.groups()
        least = _LEAST_SCRAPES * scrape_seconds if what == "[" else 1
        return f"{what}{round(1000 * max(least, int(amount) * _SECONDS[unit] / speed))}ms"

    return _DURATION.sub(divided, text)
