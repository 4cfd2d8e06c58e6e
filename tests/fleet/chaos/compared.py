"""Compares what the collector shows with what every process told."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from support.exposition import Samples
from tests.fleet.chaos import truth


def comparable(samples: Samples) -> Samples:
    """Samples by the labels that a process gives; the bound of a bucket is a number, however it is written."""
    return {
        (
            name,
            tuple(
                (key, f"{float(value):g}" if key == "le" else value) for key, value in labels if key != "environment"
            ),
        ): value
        for (name, labels), value in samples.items()
    }


def differences(told: Path, page: Samples) -> tuple[list[str], int]:
    """Every sample that is not what was counted, in words; and how many were compared."""
    return against(truth.samples(truth.read(told)), page)


def against(told: Iterable[truth.Sample], page: Samples) -> tuple[list[str], int]:
    """The same for samples that are known already."""
    shown = comparable(page)
    wrong, expected = [], set()
    for name, labels, least, most in told:
        key = (name, tuple(sorted(labels)))
        expected.add(key)
        value = shown.get(key, 0.0)
        near = math.isclose(value, least, rel_tol=1e-9) or math.isclose(value, most, rel_tol=1e-9)
        if not (near or least <= value <= most):
            wrong.append(f"{key} is {value:.15g}, counted were {least:.15g} to {most:.15g}")
    wrong += [f"{key} is {value:g}, nobody counted it" for key, value in shown.items() if value and key not in expected]
    return wrong, len(expected)


def in_flight(told: Path) -> int:
    """How many events were under way when their process was killed."""
    return sum(len(each.begun) - len(each.done) for each in truth.read(told).values())
