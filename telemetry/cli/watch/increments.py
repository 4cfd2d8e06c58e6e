"""What has been counted lately: differences of totals between reads, over a window; a total that fell began anew."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from telemetry.cli.page import Sample

Key = tuple[str, tuple[tuple[str, str], ...]]

_WINDOW = 60.0  # seconds; processes export every 15 s, so less would flicker


def key_of(sample: Sample) -> Key:
    """Which series it is."""
    return sample.name, tuple(sorted(sample.labels.items()))


class Increments:
    """Adds up differences over the last minute.

    Args:
        window: Seconds after which a difference counts no more.
    """

    def __init__(self, window: float = _WINDOW) -> None:
        self._window = window
        self._before: Mapping[Key, float] | None = None
        self._steps: deque[tuple[float, float, Mapping[Key, float]]] = deque()
        self._at = 0.0

    def add(self, samples: Iterable[Sample], at: float) -> None:
        """A new read of every total.

        Args:
            samples: All of them.
            at: When, in seconds.
        """
        now = {key_of(sample): sample.value for sample in samples}
        if self._before is not None:
            moved = {key: _increment(self._before.get(key, 0.0), value) for key, value in now.items()}
            self._steps.append((self._at, at, {key: amount for key, amount in moved.items() if amount}))
        self._before, self._at = now, at
        while len(self._steps) > 1 and at - self._steps[0][0] > self._window:
            self._steps.popleft()

    @property
    def seconds(self) -> float:
        """How long the window is by now; 0 before the second read."""
        return self._at - self._steps[0][0] if self._steps else 0.0

    def rates(self) -> list[Sample]:
        """Every series that has moved, by the second; buckets of histograms also where they have not."""
        sums: defaultdict[Key, float] = defaultdict(float)
        if self._steps and self._before is not None:
            sums.update({key: 0.0 for key in self._before if key[0].endswith("_bucket")})
        for _, _, moved in self._steps:
            for key, amount in moved.items():
                sums[key] += amount
        return [Sample(name, dict(labels), amount / self.seconds) for (name, labels), amount in sums.items()]


def _increment(before: float, now: float) -> float:
    """A series that is new began at 0, and so did one that has fallen."""
    return now - before if now >= before else now


def quantile(q: float, buckets: Mapping[float, float]) -> float | None:
    """A quantile from cumulative counts by upper bound, with values spread evenly within a bucket as PromQL has it.

    Args:
        q: 0.95, for instance.
        buckets: With one for infinity, which holds all.

    Returns:
        The value; the last finite bound where it lies beyond; ``None`` where nothing was observed.
    """
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    wanted = q * buckets[bounds[-1]]
    place = next(number for number, bound in enumerate(bounds) if buckets[bound] >= wanted)
    if place == len(bounds) - 1:
        return bounds[place - 1] if place else None
    lower, below = (bounds[place - 1], buckets[bounds[place - 1]]) if place else (0.0, 0.0)
    inside = buckets[bounds[place]] - below
    return lower + (bounds[place] - lower) * ((wanted - below) / inside if inside else 1.0)
