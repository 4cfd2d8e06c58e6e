"""What is said of troubles and of recoveries, on small ones."""

from __future__ import annotations

import shutil

import pytest

from benchmarks import recovery
from benchmarks.backpressure import summary
from docs import soak as page

_ABOUT_ITSELF = 20  # series that a process has of the library
# The first export is what was on its way, what was counted since, and levels; within a second the next one may come.
_IN_A_SECOND = 5


def _turn(p99: float) -> dict[str, float]:
    return {"p99_ms": p99, "requests_per_second": 1000.0}


@pytest.mark.parametrize(("ratio", "felt"), [(1.0, "no"), (1.5, "**yes**"), (0.5, "no")])
def test_trouble_is_felt_beyond_noise(ratio: float, felt: str) -> None:
    """A trouble is felt where all of the interval of the ratio of p99 is above 1."""
    noise = (0.9, 1.0, 1.1, 0.95, 1.05, 1.0)
    found = summary([(_turn(4.0), _turn(4.0 * ratio * each)) for each in noise])
    assert found["least"] < found["ratio"] < found["most"]
    assert found["ratio"] == pytest.approx(ratio, rel=0.02)
    shown = page.backpressure(
        {"measured": "", "python": "", "crews": 1, "seconds": 2, "troubles": {"a trouble": found}}
    )
    assert shown.splitlines()[-1].endswith(f"| {felt} |")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_recovery_is_no_burst() -> None:
    """After an outage each process sends what it has in one export, no larger than its series, and every count is there."""
    found = recovery.measure(senders=4, outage=6.0, interval=1.0, calm=3.0)
    assert found["shown"] == found["events"]
    assert found["after"]["most_points"] <= recovery.SERIES + _ABOUT_ITSELF
    assert found["after"]["most_in_a_second"] <= _IN_A_SECOND * found["senders"]
    assert found["caught_up_after_s"] < 3
