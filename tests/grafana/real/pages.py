"""A dashboard as Grafana draws it, read off the page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser

from support.waiting import eventually
from tests.grafana.live import WINDOW_SECONDS
from tests.support.browser import Looked, looking

_READ = (Path(__file__).parent / "panels.js").read_text()
_FOLDED = ".dashboard-row--collapsed .dashboard-row__title"
_PANEL = "data-testid^='data-testid Panel header '"
PANELS = f"section:has([{_PANEL}]), section[{_PANEL}]"
"""Every panel, before version 10 and since."""
_WHOLE = re.compile(r"\d{1,3}(,\d{3})*")
_NOTHING = {"no data", "\N{EN DASH}"}
_TALL = 6000  # pixels; Grafana draws a panel once it is in sight


@dataclass(frozen=True)
class Shown:
    """What one panel shows.

    Attributes:
        lines: Its texts but the title, from top to bottom.
        charts: How many it draws.
        warnings: How many errors it points out.
    """

    lines: tuple[str, ...]
    charts: int
    warnings: int

    @property
    def is_drawn(self) -> bool:
        """Whether there is something to read off it."""
        return not self.warnings and bool({line.lower() for line in self.lines} - _NOTHING)

    def sum(self, starts: str = "") -> int:
        """What its whole numbers add up to; those of series whose names, which stand before their numbers, start so."""
        named = zip(("", *self.lines), self.lines, strict=False)
        found = [(name, number) for name, number in named if _WHOLE.fullmatch(number) and name.startswith(starts)]
        assert found, f"no whole number of {starts!r} in {self.lines}"
        return sum(int(number.replace(",", "")) for _, number in found)


@contextmanager
def dashboard(browser: Browser, url: str, at: float, width: int, **chosen: str) -> Iterator[Looked]:
    """A dashboard as of a moment, unfolded, once all of it is drawn."""
    moments = {"from": round((at - WINDOW_SECONDS) * 1000), "to": round(at * 1000)}
    query = urlencode(moments | {f"var-{name}": value for name, value in chosen.items()})
    with looking(browser, f"{url}?{query}", width) as looked:
        looked.page.set_viewport_size({"width": width, "height": _TALL})
        looked.page.wait_for_selector(".dashboard-row__title")
        while looked.page.locator(_FOLDED).count():
            looked.page.locator(_FOLDED).first.click()
        _settle(looked)
        yield looked


def shown(looked: Looked) -> dict[str, Shown]:
    """Every panel by its title."""
    read: Mapping[str, Mapping[str, Any]] = looked.page.evaluate(_READ)
    return {title: Shown(tuple(each["lines"]), each["charts"], each["warnings"]) for title, each in read.items()}


def _settle(looked: Looked) -> None:
    """Await that two looks, a second apart, see the same, and something in each panel."""
    seen: list[dict[str, Shown]] = [{}]

    def look() -> bool:
        looked.page.wait_for_timeout(1000)
        seen.append(shown(looked))
        return seen[-1] == seen[-2] and all(panel.lines for panel in seen[-1].values())

    eventually(look, 60)
