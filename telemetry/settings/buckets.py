"""Buckets of the catalogue's histograms by one setting: the syntax of ``TELEMETRY_HISTOGRAM_BUCKETS``.

``http_request_duration_seconds=0.1,0.5,2.5,10;llm_request_duration_seconds=1,10,60`` gives two histograms other upper
bounds than the catalogue does. The processes of a fleet read the same setting, as they read where to export to; while
it is rolled out, counts by the bounds of both stand beside each other, and their sum is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import isfinite

from telemetry.catalogue import BY_NAME, HistogramSpec

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
    spec = BY_NAME.get(name)
    if not isinstance(spec, HistogramSpec):
        known = ", ".join(sorted(spec.name for spec in BY_NAME.values() if isinstance(spec, HistogramSpec)))
        raise InvalidBucketsError(f"{name!r} is no histogram of the catalogue: write it as one of {known}")
    if not 0 < len(bounds) <= MOST or not all(map(isfinite, bounds)) or any(a >= b for a, b in pairwise(bounds)):
        raise InvalidBucketsError(f"{name}={bounds} does not ascend: write it as 1 to {MOST} ascending numbers")
    missing = sorted(set(spec.relied_on) - set(bounds))
    if missing:
        raise InvalidBucketsError(f"{name}={bounds} lacks {missing}, which rules read: write it as bounds with these")
    return bounds
