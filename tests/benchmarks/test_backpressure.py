"""What is said of troubles and of recoveries, on small ones."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from benchmarks import recovery
from benchmarks.backpressure import Found, Seen, measure, report
from benchmarks.troubles import NONE, possible
from docs import soak as page

_ABOUT_ITSELF = 20  # series that a process has of the library
# The first export is what was on its way, what was counted since, and levels; within a second the next one may come.
_IN_A_SECOND = 5


NOISE = (0.9, 1.0, 1.1, 0.95, 1.05, 1.0)


def _seen(ratio: float) -> Seen:
    """A turn whose p99 is that of its neighbours, which drift, times this."""
    before, turn, after = ({"p99_ms": 4.0 * each} for each in (0.8, ratio, 1.25))
    return Seen(before, turn, after, served=100, shown=100)


def _found(ratio: float, lost: int = 0) -> Found:
    """Three crews with two turns each: as much noise with a trouble as without."""
    crews = [NOISE[at : at + 2] for at in range(0, len(NOISE), 2)]
    with_it = [[_seen(ratio * each) for each in crew] for crew in crews]
    with_it[0][0] = replace(with_it[0][0], shown=100 - lost)
    return {NONE: [[_seen(each) for each in crew] for crew in crews], "a trouble": with_it}


@pytest.mark.parametrize(
    ("ratio", "said"), [(1.0, "less than the noise"), (1.5, "**more than the noise**"), (0.5, "less than the noise")]
)
def test_trouble_is_felt_beyond_noise(ratio: float, said: str) -> None:
    """A trouble slows by less than the noise where its whole interval is below that, by more where all of it is above."""
    found = report(_found(ratio))
    trouble = found["troubles"]["a trouble"]
    assert trouble["least"] < trouble["ratio"] < trouble["most"]
    assert trouble["ratio"] == pytest.approx(ratio, rel=0.02)
    assert page.slower_by(trouble, found["noise"]) == said
    for least, most, noise in ((0.5, 2.0, 1.2), (1.1, 1.3, 1.2), (0.5, 2.0, 100.0)):
        assert page.slower_by({"least": least, "most": most}, noise) == "not decided"


def test_lost_requests_are_told() -> None:
    """One request that was not shown after a trouble is on the page."""
    about = {"measured": "", "python": "", "crews": 3, "seconds": 2}
    for lost, said in ((0, "300 requests were served, all are shown"), (1, "served, **all but 1** are shown")):
        assert said in page.backpressure({**about, **report(_found(1.0, lost))})


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_troubles_cost_no_count() -> None:
    """After every trouble that can be made here each request that was served is shown once."""
    found = measure(crews=1, rounds=1, seconds=1, seed=1)
    assert set(found) == set(possible())
    assert [name for name, ((seen,),) in found.items() if seen.shown != seen.served] == []
    assert all(seen.served > 0 for ((seen,),) in found.values())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
@pytest.mark.parametrize("kind", recovery.OUTAGES)
def test_recovery_is_no_burst(kind: str) -> None:
    """After an outage each process sends what it has in one export, no larger than its series, and every count is there."""
    found = recovery.measure(recovery.OUTAGES[kind], senders=4, outage=6.0, interval=1.0, calm=3.0)
    assert found["shown"] == found["events"]
    assert found["after"]["most_points"] <= recovery.SERIES + _ABOUT_ITSELF
    assert found["after"]["most_in_a_second"] <= _IN_A_SECOND * 5
    assert found["caught_up_after_s"] < 3
