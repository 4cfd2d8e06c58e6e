"""What measuring requests costs a server: wrk through uvicorn, ours and peers in turn, requests/s and p99.

Needs ``wrk`` (Debian's package) on the path. Usage: ``python -m benchmarks.load [--rounds 5] [--seconds 4]``
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.http_apps import last_path
from benchmarks.measure import medians, store, turns
from support.ports import free_port

PACKAGES = ("fastapi", "uvicorn", "prometheus-fastapi-instrumentator", "opentelemetry-instrumentation-fastapi")
VARIANTS = ("bare", "ours", "prometheus-fastapi-instrumentator", "starlette_exporter", "FastAPIInstrumentor")
ROUTES = 50
CONNECTIONS = 16
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@contextmanager
def serving(variant: str) -> Iterator[tuple[str, int]]:
    """URL of the last route and process id of a server."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.http_apps:served", "--port", str(port)]
    env = {**os.environ, "BENCHMARK_VARIANT": variant, "BENCHMARK_ROUTES": str(ROUTES)}
    server = subprocess.Popen([*command, "--log-level", "warning", "--no-access-log"], env=env)
    try:
        url = f"http://127.0.0.1:{port}{last_path(ROUTES)}"
        answer = httpx.HTTPTransport(retries=8)
        with httpx.Client(transport=answer) as client:
            client.get(url).raise_for_status()
        yield url, server.pid
    finally:
        server.terminate()
        server.wait(30)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def need_wrk() -> None:
    """End this program with a sentence where there is no wrk, which makes the load."""
    if shutil.which("wrk") is None:
        sys.stderr.write("not measured, wrk is not installed (apt-get install wrk); the stored result stays\n")
        sys.exit(0)


def load(url: str, pid: int, seconds: int) -> dict[str, float]:
    """One run of wrk.

    Raises:
        RuntimeError: Where there was no answer, or one that was not good, or wrk printed something unknown.
    """
    before = cpu_seconds(pid)
    began = time.monotonic()
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    per_second = float(rate[1]) if rate else 0.0
    if not per_second or p99 is None or "Non-2xx" in said:
        raise RuntimeError(f"wrk said {said!r}")
    return {
        "requests_per_second": per_second,
        "p99_ms": float(p99[1]) * _MILLISECONDS[p99[2]],
        "cpu_us_per_request": (cpu_seconds(pid) - before) / (per_second * (time.monotonic() - began)) * 1e6,
    }


def measure(rounds: int, seconds: int) -> dict[str, Mapping[str, float]]:
    """Medians by variant; each round starts every server anew."""
    runs: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for variant, _ in turns(VARIANTS, rounds, warm_ups=0):
        with serving(variant) as (url, pid):
            load(url, pid, 1)
            runs[variant].append(load(url, pid, seconds))
    return medians(runs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    chosen = parser.parse_args()
    need_wrk()
    outcome = measure(chosen.rounds, chosen.seconds)
    about = {"rounds": chosen.rounds, "seconds": chosen.seconds, "routes": ROUTES, "connections": CONNECTIONS}
    store("load", {**about, "variants": outcome}, PACKAGES)
