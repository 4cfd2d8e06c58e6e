"""The buckets of OpenTelemetry's exponential histograms, at one fixed scale: to a box they are bounds as any others.

A fixed scale keeps an event one addition to one cell, which no kill leaves half done. What scale a collector or another
SDK has does not matter: buckets of a smaller scale are joined ones of a larger scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SCALE = 3
"""Each bucket ends at 1.09 times of where it begins."""

_EACH = 2**SCALE  # buckets between a number and its double
_FIRST, _LAST = -20, 12  # powers of two: from a millionth to 4,096, in seconds an hour and eight minutes
_LEAST_INDEX = _FIRST * _EACH

BOUNDS = tuple(2.0 ** (index / _EACH) for index in range(_LEAST_INDEX, _LAST * _EACH + 1))
"""Upper bounds of the cells: to an exponential histogram, what is below the first is 0, and what is above the last is
just above."""

POWERS_OF_TWO = BOUNDS[::_EACH]
"""Those that a page shows that has no exponential histograms."""


class Positive(NamedTuple):
    """The buckets of positive values.

    Attributes:
        offset: Index of the first bucket.
        counts: Of the buckets from there on.
    """

    offset: int
    counts: list[int]


def are_bounds(bounds: Sequence[float]) -> bool:
    """Whether cells with these bounds are those of an exponential histogram."""
    return bounds is BOUNDS or (len(bounds) == len(BOUNDS) and tuple(bounds) == BOUNDS)


def positive(counts: Sequence[int]) -> Positive:
    """The buckets of cells but for the first, which counts zeros; those at both ends that are empty are left out."""
    used = bytes(map(bool, counts))
    first, last = used.find(1, 1), used.rfind(1, 1)
    if first < 0:
        return Positive(0, [])
    return Positive(_LEAST_INDEX + first - 1, list(counts[first : last + 1]))
