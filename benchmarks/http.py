"""What measuring a request costs: CPU time of in-process ASGI calls, ours and peers, in one interleaved run.

Usage: ``python -m benchmarks.http [--rounds 15] [--requests 300]``
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI

from benchmarks.http_apps import VARIANTS, last_path
from benchmarks.measure import cpu_microseconds_async, store

ROUTES = (1, 50, 200)
PACKAGES = (
    "fastapi",
    "starlette",
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
    "opentelemetry-instrumentation-fastapi",
    "opentelemetry-sdk",
)


def requests_to(app: FastAPI, path: str) -> Callable[[int], Awaitable[None]]:
    """Sends any number of requests, one after the other, and checks each answer."""
    fixed = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"{path} answered {message['status']}")

    async def run(count: int) -> None:
        for _ in range(count):
            headers = [(b"host", b"test"), (b"user-agent", b"benchmark"), (b"accept", b"*/*")]
            await app({**fixed, "headers": headers}, receive, send)

    return run


async def measure(rounds: int, requests: int) -> dict[str, dict[str, float]]:
    """µs of CPU per request, by number of routes and variant."""
    result = {}
    for routes in ROUTES:
        runs = {name: requests_to(make(routes), last_path(routes)) for name, make in VARIANTS.items()}
        result[str(routes)] = await cpu_microseconds_async(runs, rounds, requests)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=300)
    chosen = parser.parse_args()
    cpu = asyncio.run(measure(chosen.rounds, chosen.requests))
    store("http", {"rounds": chosen.rounds, "requests": chosen.requests, "cpu_us_per_request": cpu}, PACKAGES)
