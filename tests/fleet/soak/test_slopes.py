"""Slopes and their errors; no fleet is needed."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from support.student import quantile
from tests.fleet.soak.slopes import binned, fit

Noise = Callable[[random.Random], list[float]]
MINUTES = 30


def _white(draw: random.Random) -> list[float]:
    return [draw.gauss(0, 1) for _ in range(MINUTES)]


def _wandering(draw: random.Random) -> list[float]:
    """Each one is half of the one before."""
    noise = [draw.gauss(0, 1)]
    for _ in range(MINUTES - 1):
        noise.append(0.5 * noise[-1] + draw.gauss(0, 0.87))
    return noise


def test_a_line_is_found() -> None:
    """Figures on a line give its slope in an hour, without error."""
    slope = fit({"one": [(float(second), 5 + 2 * second / 3600) for second in range(0, 600, 60)]})
    assert slope is not None
    assert slope.per_hour == pytest.approx(2)
    assert slope.error == pytest.approx(0, abs=1e-6)
    assert (slope.points, slope.lives) == (10, 1)


def test_levels_of_lives_are_no_growth() -> None:
    """Each process has a level of its own: one that follows another and is larger does not grow."""
    lives = {life: [(600.0 * life + second, 100.0 * life) for second in range(0, 600, 60)] for life in range(3)}
    slope = fit(lives)
    assert slope is not None
    assert slope.per_hour == pytest.approx(0)


@pytest.mark.parametrize(("noise", "least"), [(_white, 92), (_wandering, 80)], ids=["white", "wandering"])
def test_error_holds_the_truth(noise: Noise, least: int) -> None:
    """In about 95 of 100 runs the true slope is within the error; also nearly so where neighbours are alike."""
    held = 0
    for seed in range(200):
        figures = noise(random.Random(seed))
        slope = fit({"one": [(60.0 * minute, minute / 30 + figure) for minute, figure in enumerate(figures)]})
        assert slope is not None
        held += abs(slope.per_hour - 2) <= slope.error
    assert held / 2 >= least


@pytest.mark.parametrize(
    ("per_hour", "exceeds"), [(0.0, False), (10.0, False), (40.0, True)], ids=["flat", "within", "leak"]
)
def test_only_what_is_beyond_doubt_exceeds(per_hour: float, exceeds: bool) -> None:
    """A slope exceeds its limit where all of its interval does."""
    figures = _white(random.Random(1))
    slope = fit({"one": [(60.0 * minute, minute * per_hour / 60 + figure) for minute, figure in enumerate(figures)]})
    assert slope is not None
    assert slope.exceeds(12.0) == exceeds


def test_too_few_tell_nothing() -> None:
    """Where there are fewer than five measurements of one life, or none twice, there is no slope."""
    assert fit({}) is None
    assert fit({"one": [(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)]}) is None
    assert fit({life: [(0.0, 1.0)] for life in range(9)}) is None


@pytest.mark.parametrize(("free", "expected"), [(3, 3.182), (10, 2.228), (30, 2.042), (1000, 1.962)])
def test_quantile_is_that_of_tables(free: int, expected: float) -> None:
    """Student's t is what tables have, within 1 %."""
    assert quantile(free) == pytest.approx(expected, rel=0.01)


def test_bins_are_medians() -> None:
    """An outlier within a bin moves nothing."""
    points = [(0.0, 1.0), (1.0, 900.0), (2.0, 1.0), (10.0, 3.0)]
    assert binned(points, 10.0) == [(1.0, 1.0), (10.0, 3.0)]
