"""Interleaved measurements: variants take turns in rounds, medians are reported, results are stored as JSON."""

from __future__ import annotations

import atexit
import gc
import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from support.memory import MEMORY
from telemetry import Settings, process, setup

RESULTS = Path(__file__).parent / "results"


def turns(variants: Iterable[str], rounds: int, *, warm_ups: int = 1) -> Iterator[tuple[str, bool]]:
    """The variants one after the other in each round, every second round backwards; whether the turn counts.

    Args:
        variants: Their names.
        rounds: How often every variant has a turn that counts.
        warm_ups: Rounds before these, whose turns do not count.
    """
    names = list(variants)
    for number in range(warm_ups + rounds):
        for name in names if number % 2 else reversed(names):
            yield name, number >= warm_ups


def medians(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Mapping[str, float]]:
    """The median of each figure over the runs of each variant."""
    return {name: {key: round(median(run[key] for run in own), 2) for key in own[0]} for name, own in runs.items()}


class _Spent:
    """CPU time of this process, by variant.

    Args:
        events: How many a turn has.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self._microseconds: dict[str, list[float]] = {}

    @contextmanager
    def of(self, name: str, *, counts: bool) -> Iterator[None]:
        """What the block spends; garbage of others is not collected in it."""
        gc.collect()
        began = time.process_time()
        yield
        spent = time.process_time() - began
        if counts:
            self._microseconds.setdefault(name, []).append(spent / self._events * 1e6)

    def medians(self) -> dict[str, float]:
        """µs of one event."""
        return {name: round(median(values), 2) for name, values in self._microseconds.items()}


def cpu_microseconds(variants: Mapping[str, Callable[[int], None]], rounds: int, events: int) -> dict[str, float]:
    """Median CPU time (µs) of one event of each variant.

    Args:
        variants: Runs the given number of events, by name.
        rounds: How often every variant has its turn, in alternating order.
        events: Events per turn.
    """
    spent = _Spent(events)
    for name, counts in turns(variants, rounds):
        with spent.of(name, counts=counts):
            variants[name](events)
    return spent.medians()


async def cpu_microseconds_async(
    variants: Mapping[str, Callable[[int], Awaitable[None]]], rounds: int, events: int
) -> dict[str, float]:
    """As ``cpu_microseconds``, for variants that run in an event loop."""
    spent = _Spent(events)
    for name, counts in turns(variants, rounds):
        with spent.of(name, counts=counts):
            await variants[name](events)
    return spent.medians()


def in_a_box() -> setup.Telemetry:
    """The telemetry of this process, which counts into a file as in production, but exports nothing meanwhile."""
    if process.current.configured is None:
        directory = Path(tempfile.mkdtemp(prefix="telemetry-benchmark-", dir=MEMORY))
        atexit.register(shutil.rmtree, directory)
        made = setup.Telemetry(Settings(exporters=("otlp",), state_dir=directory))
        made.pipeline._started = True  # noqa: SLF001
        process.current.configured = made
    return process.current.configured


def store(name: str, result: Mapping[str, Any], packages: tuple[str, ...] = ()) -> None:
    """Write ``results/<name>.json``, with what it was measured with; ``make generate`` puts it into the docs."""
    about = {
        "measured": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in packages},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({**about, **result}, indent=2) + "\n")
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")
