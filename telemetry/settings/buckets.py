"""Buckets of the catalogue's histograms by one setting: the syntax of ``TELEMETRY_HISTOGRAM_BUCKETS``.

``http_request_duration_seconds=0.1,0.5,2.5,10;order_seconds=1,10,60`` gives two histograms other upper bounds than the
catalogue does. Whether there are such histograms is known with the catalogue, which a user's own modules belong to. The
processes of a fleet read the same setting, as they read where to export to; while it is rolled out, counts by the
bounds of both stand beside each other, and their sum is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import isfinite

from telemetry.catalogue import Catalogue, HistogramSpec

REMEDY = "histogram=bound,bound,… with semicolons between histograms"
MOST = 50

Buckets = Mapping[str, tuple[float, ...]]


class InvalidBucketsError(ValueError):
    """Buckets that a histogram cannot have; the message names the histogram and the remedy."""


def parse(text: str) -> Buckets:
    """Upper bounds by the name of the histogram.

    Raises:
        InvalidBucketsError: Naming what is wrong and the remedy.
    """
    return dict(_histogram(part.strip()) for part in text.split(";") if part.strip())


def _histogram(part: str) -> tuple[str, tuple[float, ...]]:
    name, _, bounds = (side.strip() for side in part.partition("="))
    try:
        return name, checked(name, tuple(float(bound) for bound in bounds.split(",")))
    except InvalidBucketsError:
        raise
    except ValueError:
        raise InvalidBucketsError(f"{part!r} has no numbers: write it as {REMEDY}") from None


def checked(name: str, bounds: tuple[float, ...]) -> tuple[float, ...]:
    """The bounds, where a histogram can have them.

    Raises:
        InvalidBucketsError: Naming what is wrong and the remedy.
    """
    if not 0 < len(bounds) <= MOST or not all(map(isfinite, bounds)) or any(a >= b for a, b in pairwise(bounds)):
        raise InvalidBucketsError(f"{name}={bounds} does not ascend: write it as 1 to {MOST} ascending numbers")
    return bounds


def fitting(given: Buckets, catalogue: Catalogue) -> tuple[Buckets, list[str]]:
    """Those buckets that histograms of the catalogue can have, and what is wrong with the others, with the remedy."""
    wrong = {name: problem for name, bounds in given.items() if (problem := _problem(name, bounds, catalogue))}
    return {name: bounds for name, bounds in given.items() if name not in wrong}, list(wrong.values())


def _problem(name: str, bounds: tuple[float, ...], catalogue: Catalogue) -> str:
    spec = catalogue.by_name.get(name)
    if not isinstance(spec, HistogramSpec):
        known = ", ".join(sorted(spec.name for spec in catalogue.specs if isinstance(spec, HistogramSpec)))
        return f"{name!r} is no histogram of the catalogue: write it as one of {known}"
    missing = sorted(set(spec.relied_on) - set(bounds))
    return f"{name}={bounds} lacks {missing}, which rules read: write it as bounds with these" if missing else ""
