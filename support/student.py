"""How far a mean of few measurements may be from the truth: Student's t, without a library of statistics."""

from __future__ import annotations

from statistics import NormalDist

CONFIDENCE = 0.95


def quantile(free: int) -> float:
    """By how many standard errors a figure is off in 5 of 100 cases at most; right within 1 % from three on.

    Args:
        free: Degrees of freedom.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / free + second / free**2 + third / free**3
