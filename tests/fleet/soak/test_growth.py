"""What a census says of growth; the processes are made up."""

from __future__ import annotations

from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any, cast

import pytest

from docs import soak as page
from tests.fleet.soak import growth
from tests.fleet.soak.census import Life, Reading

WAY = growth.Way(300.0, 60.0, {"MiB": 12.0, "descriptors": 6.0, "files": 12.0})


def _census(leak: float) -> Any:
    """A replica that warms up for five minutes and then leaks so many MiB an hour; boxes that stay ten."""
    readings = [
        Reading(
            moment,
            moment,
            {"MiB": 100 + min(moment, 300) / 10 + leak * moment / 3600, "descriptors": 20.0},
            Counter({"to REDIS": 4 + (moment > 1000), "pipe": 15}),
        )
        for moment in map(float, range(0, 1800, 5))
    ]
    files = {"boxes, files": [(each.moment, 10.0) for each in readings]}
    lives: dict[Life, list[Reading]] = defaultdict(list, {Life("app replica", 1, 1): readings})
    return SimpleNamespace(lives=lives, files=files)


def _verdicts(leak: float) -> dict[tuple[str, str, str], str]:
    rows = growth.rows(cast("Any", _census(leak)), WAY)
    return {(row["what"], row["unit"], row["kind"]): row["verdict"] for row in rows}


@pytest.mark.parametrize(("leak", "verdict"), [(0.0, "flat"), (10.0, "flat"), (15.0, "GROWS")])
def test_a_leak_is_told_from_a_warm_up(leak: float, verdict: str) -> None:
    """Memory that is added after the warm-up and above the limit is growth; what is added while a process warms up is not."""
    verdicts = _verdicts(leak)
    assert verdicts["app replica", "MiB", growth.IN_A_LIFE] == verdict
    assert verdicts["app replica", "MiB", growth.OVER_THE_RUN] == verdict
    assert verdicts["app replica", "descriptors", growth.IN_A_LIFE] == "flat"
    assert verdicts["boxes", "files", growth.OVER_THE_RUN] == "flat"
    assert verdicts["beat", "MiB", growth.IN_A_LIFE] == "too few measurements"


def test_page_shows_growth() -> None:
    """The table has each slope with its error, its limit and its verdict, and says where there is none."""
    shown = page.growth({"growth": growth.rows(cast("Any", _census(15.0)), WAY)})
    assert "| app replica | MiB | in a life | 132.4 | 136.4 | +15.00 ± 0.00 | 12 | 1 | **GROWS** |" in shown
    assert "| beat | MiB | in a life | - | - | - | 12 | - | too few measurements |" in shown.replace(page.UNKNOWN, "-")


def test_page_shows_what_descriptors_are() -> None:
    """A kind that became more is told from one that did not."""
    shown = page.descriptors({"descriptors": growth.descriptors(cast("Any", _census(0.0)), WAY)})
    assert "| app replica | pipe | 15.0 | 15.0 |" in shown
    assert "| app replica | to REDIS | 4.0 | 5.0 |" in shown
