"""How fast a figure grows, with the error of that: least squares, one slope for all lives of a process and a level for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from support.student import quantile

HOUR = 3600.0
_LEAST_FREE = 3  # degrees of freedom below which an error means nothing

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Slope:
    """What was fitted.

    Attributes:
        per_hour: Growth in an hour.
        error: Half of the interval that has the true one in 95 of 100 cases.
        points: How many measurements it is from.
        lives: Of how many lives of processes.
    """

    per_hour: float
    error: float
    points: int
    lives: int

    def exceeds(self, limit: float) -> bool:
        """Whether it grows faster than the limit beyond doubt."""
        return self.per_hour - self.error > limit


def fit(lives: Mapping[object, Points]) -> Slope | None:
    """The slope that all lives share.

    A life has its own level, so one that began larger is no growth. Residuals of neighbours are alike where a figure
    wanders: the error is widened by as much as that makes measurements fewer.

    Args:
        lives: Seconds and figures of each life, in order of time.

    Returns:
        ``None`` where there are too few measurements to tell.
    """
    centred = [_centred(points) for points in lives.values() if len(points) > 1]
    points = [point for life in centred for point in life]
    free = len(points) - len(centred) - 1
    spread = sum(moment**2 for moment, _ in points)
    if free < _LEAST_FREE or not spread:
        return None
    slope = sum(moment * figure for moment, figure in points) / spread
    left = [[figure - slope * moment for moment, figure in life] for life in centred]
    variance = sum(each**2 for life in left for each in life) / free
    error = quantile(free) * (variance / spread) ** 0.5 * _widening(left)
    return Slope(slope * HOUR, error * HOUR, len(points), len(centred))


def binned(points: Iterable[tuple[float, float]], width: float) -> list[tuple[float, float]]:
    """The median of each stretch of so many seconds, at the mean of its moments."""
    bins: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for moment, figure in points:
        bins[int(moment // width)].append((moment, figure))
    return [
        (fmean(moment for moment, _ in own), median(figure for _, figure in own)) for _, own in sorted(bins.items())
    ]


def _centred(points: Points) -> list[tuple[float, float]]:
    middle, level = (fmean(column) for column in zip(*points, strict=True))
    return [(moment - middle, figure - level) for moment, figure in points]


def _widening(left: Sequence[Sequence[float]]) -> float:
    """By the correlation of each residual with the next one."""
    alike = sum(one * other for life in left for one, other in pairwise(life))
    spread = sum(each**2 for life in left for each in life)
    correlation = min(max(alike / spread, 0.0), 0.95) if spread else 0.0
    return float(((1 + correlation) / (1 - correlation)) ** 0.5)
