"""The claims of `docs/performance.md` that must not rot: cost relative to the peer, in one interleaved run."""

from __future__ import annotations

import pytest

from benchmarks.http import requests_to
from benchmarks.http_apps import VARIANTS, last_path
from benchmarks.measure import cpu_microseconds_async
from benchmarks.start import SDK, starts

PEER = "prometheus-fastapi-instrumentator"


@pytest.mark.slow
async def test_request_costs_half_of_the_peer() -> None:
    """Ours adds at most half of what the nearest peer adds, and the same at 200 routes as at one."""
    added = {}
    for routes in (1, 200):
        names = ("bare", "ours", PEER)
        runs = {name: requests_to(VARIANTS[name](routes), last_path(routes)) for name in names}
        cpu = await cpu_microseconds_async(runs, rounds=9, events=200)
        added[routes] = cpu["ours"] - cpu["bare"]
        assert added[routes] <= (cpu[PEER] - cpu["bare"]) / 2
    assert added[200] < 2 * added[1]


def test_start_weighs_little_more_than_the_sdk() -> None:
    """A process that exports nothing has less than half as much memory again as the SDK alone, one that exports little more than the SDK's that does."""
    mib = {name: run["rss_mib"] for name, run in starts(rounds=1).items()}
    assert mib["ours, `none`"] <= 1.45 * mib[SDK]
    assert mib["ours, `otlp`"] <= 1.2 * mib["OpenTelemetry SDK, OTLP"]
