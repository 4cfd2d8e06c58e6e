"""What of a census grows: slopes of memory and descriptors in a life and over the run, of files, and whether a limit is exceeded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tests.fleet.soak.census import DESCRIPTORS, MEMORY, POOL, ROLES, Census, Life, Reading
from tests.fleet.soak.slopes import Points, Slope, binned, fit

IN_A_LIFE, OVER_THE_RUN = "in a life", "over the run"
FILES = "files"


@dataclass(frozen=True)
class Way:
    """How measurements are taken.

    Attributes:
        warm_up: Seconds of a life, and of the run, that do not count: imports, caches and pools fill.
        width: Seconds whose median is one measurement.
        limits: How much may be added in an hour, by unit.
    """

    warm_up: float
    width: float
    limits: dict[str, float]


def rows(census: Census, way: Way) -> list[dict[str, Any]]:
    """A row for each role, unit and kind of slope, as it is stored."""
    return [*_of_processes(census, way), *_of_files(census, way)]


def descriptors(census: Census, way: Way) -> list[dict[str, Any]]:
    """What the descriptors were of the process of each role that was seen longest, in the first third of its warm life and in the last one."""
    return [
        {"what": role, "kind": kind, **_ends([(each.moment, float(each.kinds[kind])) for each in warm])}
        for role in ROLES
        if (warm := _longest(census, role, way))
        for kind in sorted({kind for each in warm for kind in each.kinds})
    ]


def _longest(census: Census, role: str, way: Way) -> list[Reading]:
    lives = (own for life, own in census.lives.items() if life.role == role)
    longest = max(lives, key=lambda own: own[-1].age, default=[])
    return [each for each in longest if each.age >= way.warm_up]


def _of_processes(census: Census, way: Way) -> Iterator[dict[str, Any]]:
    for unit in (MEMORY, DESCRIPTORS):
        for role in ROLES:
            lives = {life: own for life, own in census.lives.items() if life.role == role}
            if role != POOL:  # recycled before it is warm
                yield _row(role, unit, IN_A_LIFE, _in_lives(lives, unit, way), way)
            yield _row(role, unit, OVER_THE_RUN, {role: _mean(lives, unit, way)}, way)


def _of_files(census: Census, way: Way) -> Iterator[dict[str, Any]]:
    for what, points in census.files.items():
        name, _, unit = what.rpartition(", ")
        yield _row(name, unit, OVER_THE_RUN, {name: _after(binned(points, way.width), way)}, way)


def _in_lives(lives: dict[Life, list[Reading]], unit: str, way: Way) -> dict[object, Points]:
    warm = {
        life: [(each.moment, each.taken[unit]) for each in own if each.age >= way.warm_up]
        for life, own in lives.items()
    }
    return {life: binned(points, way.width) for life, points in warm.items() if points}


def _mean(lives: dict[Life, list[Reading]], unit: str, way: Way) -> Points:
    """What one process of a role takes on average; those that just start are not yet what they will be."""
    at: dict[int, list[float]] = defaultdict(list)
    for own in lives.values():
        for each in own:
            at[int(each.moment // way.width)].append(each.taken[unit])
    points = [((place + 0.5) * way.width, fmean(figures)) for place, figures in sorted(at.items())]
    return _after(points, way)


def _after(points: Sequence[tuple[float, float]], way: Way) -> Points:
    return [point for point in points if point[0] >= way.warm_up]


def _row(what: str, unit: str, kind: str, lives: dict[Any, Points], way: Way) -> dict[str, Any]:
    limit = way.limits[unit]
    points = sorted(point for life in lives.values() for point in life)
    return {"what": what, "unit": unit, "kind": kind, "limit": limit, **_ends(points), **_fitted(fit(lives), limit)}


def _ends(points: Points) -> dict[str, float]:
    """How much it was in the first third of the measurements, and in the last one."""
    third = -(-len(points) // 3)
    ends = {"first": points[:third], "last": points[-third:]} if points else {}
    return {name: round(fmean(figure for _, figure in own), 1) for name, own in ends.items()}


def _fitted(slope: Slope | None, limit: float) -> dict[str, Any]:
    if slope is None:
        return {"verdict": "too few measurements"}
    rounded = {"per_hour": round(slope.per_hour, 2), "error": round(slope.error, 2)}
    return {
        **rounded,
        "lives": slope.lives,
        "points": slope.points,
        "verdict": "GROWS" if slope.exceeds(limit) else "flat",
    }
