"""What a collector is worth: senders export as fast as they are answered, to both of our configurations in turn.

Throughput, latency of an export, memory, scrape and restart, by number of series. ``collector/cmd/fleetload`` sends.
Usage: ``python -m benchmarks.collector [--rounds 3] [--seconds 8]``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import medians, store, turns

ROOT = Path(__file__).parents[1]
SENDERS, POINTS = 8, 500
SERIES = (2_000, 20_000, 100_000)
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "otel-collector.yaml": ("-config", "otel-collector.yaml"),
    "otel-collector.durable.yaml": ("-config", "otel-collector.durable.yaml"),
    "otel-collector.durable.yaml, fsync": ("-config", "otel-collector.durable.yaml", "-fsync"),
}


def load(program: Path, flags: tuple[str, ...], series: int, seconds: int, store_in: str) -> dict[str, float]:
    """One run with a collector of its own.

    Raises:
        RuntimeError: If an export was refused: then it is not the same work.
    """
    sizes = ("-senders", str(SENDERS), "-points", str(POINTS), "-series", str(series), "-for", f"{seconds}s")
    otelcol = str(Path(sys.prefix) / "bin" / "otelcol")
    command = [str(program), "load", "-otelcol", otelcol, *flags, *sizes, "-state", store_in]
    said = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    if said["refused"]:
        raise RuntimeError(f"{said['refused']} exports were refused by {flags[1]} with {series} series")
    keys = ("points_per_second", "p50_ms", "p99_ms", "rss_mib", "scrape_ms", "restart_s", "cpu_us_per_point")
    return {key: float(said[key]) for key in keys}


def measure(rounds: int, seconds: int) -> dict[str, dict[str, Mapping[str, float]]]:
    """Medians by number of series and variant; the store is on the disk of this directory."""
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="fleetload-", dir=ROOT) as directory:
        program = Path(directory) / "fleetload"
        subprocess.run(["go", "build", "-o", str(program), "./cmd/fleetload"], cwd=ROOT / "collector", check=True)
        for series in SERIES:
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
            for name, _ in turns(VARIANTS, rounds, warm_ups=0):
                runs[name].append(load(program, VARIANTS[name], series, seconds, directory))
            found[str(series)] = medians(runs)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8)
    chosen = parser.parse_args()
    outcome = measure(chosen.rounds, chosen.seconds)
    about = {"rounds": chosen.rounds, "seconds": chosen.seconds, "senders": SENDERS, "points_per_export": POINTS}
    store("collector", {**about, "series": outcome})
