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
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from telemetry import Settings, process, setup

RESULTS = Path(__file__).parent / "results"
# Where files of processes are in production: in memory, where the system has a place for that.
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


def cpu_microseconds(variants: Mapping[str, Callable[[int], None]], rounds: int, events: int) -> dict[str, float]:
    """Median CPU time (µs) of one event of each variant.

    Args:
        variants: Runs the given number of events, by name.
        rounds: How often every variant has its turn, in alternating order.
        events: Events per turn.
    """
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        names = list(variants)
        for name in names if number % 2 else reversed(names):
            gc.collect()
            began = time.process_time()
            variants[name](events)
            spent = time.process_time() - began
            if number:  # the first round warms up
                samples[name].append(spent / events * 1e6)
    return {name: round(median(values), 2) for name, values in samples.items()}


async def cpu_microseconds_async(
    variants: Mapping[str, Callable[[int], Awaitable[None]]], rounds: int, events: int
) -> dict[str, float]:
    """As ``cpu_microseconds``, for variants that run in an event loop."""
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        names = list(variants)
        for name in names if number % 2 else reversed(names):
            gc.collect()
            began = time.process_time()
            await variants[name](events)
            spent = time.process_time() - began
            if number:  # the first round warms up
                samples[name].append(spent / events * 1e6)
    return {name: round(median(values), 2) for name, values in samples.items()}


def in_a_box() -> setup.Telemetry:
    """The telemetry of this process, which counts into a file as in production, but exports nothing meanwhile."""
    if process.current.configured is None:
        directory = Path(tempfile.mkdtemp(prefix="telemetry-benchmark-", dir=MEMORY))
        atexit.register(shutil.rmtree, directory)
        made = setup.Telemetry(Settings(sink="otlp", state_dir=directory))
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
