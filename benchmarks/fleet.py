"""Start-up time of the fleet and memory per process; run by ``make bench-fleet``, on free ports, ended by itself."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from deploy.fleet import Fleet
from deploy.settings import FleetSettings


def main() -> None:
    """Start a fleet once with nothing there and once more, and print what it takes."""
    with tempfile.TemporaryDirectory() as directory:
        fleet = Fleet(FleetSettings.isolated(Path(directory)), say=lambda line: None)
        try:
            first = _timed(fleet.up)
            again = _timed(fleet.up)
            print(f"start-up {first:.1f} s, `up` on a running fleet {again:.1f} s\n")
            rows = fleet.status()
            print(f"{'process':<16}{'memory':>12}")
            for row in rows:
                print(f"{row.name:<16}{row.memory_mib:>8.0f} MiB")
            print(f"{'together':<16}{sum(row.memory_mib for row in rows):>8.0f} MiB")
        finally:
            fleet.down()


def _timed(action: object) -> float:
    started = time.perf_counter()
    assert callable(action)
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
