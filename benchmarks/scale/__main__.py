"""Measures what many senders take, where Prometheus ends, and what others do with the same traffic.

`docs/scale.md` shows it.

Usage: ``python -m benchmarks.scale [--seconds 15] [--idle-minutes 10]``; about as long as it is idle, and four minutes
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import store
from benchmarks.scale import peers, scenarios
from benchmarks.scale.programs import Prometheus, fleet, fleetload, said
from support.collector import DURABLE, Collector, find_otelcol

POINTS, SERIES, RATE = 100, 2000, 20_000
_WRITTEN_BACK = 35  # seconds within which a page that was written to is on the disk, as Linux is set by default
_BUSY = 40  # sockets, of which six listen and a few are scraped
Row = dict[str, Any]


class Runs:
    """Runs of one fleet at one collector.

    Args:
        program: The load generator.
        seconds: How long each is measured.
    """

    def __init__(self, program: Path, seconds: int) -> None:
        self._program = program
        self._seconds = seconds

    def one(self, senders: int, seconds: int = 0, **more: object) -> Row:
        """One; what it is measured after is the time in which each sender has exported at least once.

        Args:
            senders: How many.
            seconds: How long it is measured at least.
            more: Flags of the load.

        Raises:
            RuntimeError: If a series is not what was sent.
        """
        flags: Row = {"points": POINTS, "series": SERIES, "rate": RATE, **more}
        interval = senders * flags["points"] / flags["rate"]
        own = {"otelcol": find_otelcol(), "config": DURABLE, "state": self._program.parent}
        warm, during = f"{interval + 3:.0f}s", f"{max(seconds, self._seconds)}s"
        found = said(fleet(self._program, senders=senders, warm=warm, for_=during, **own, **flags))
        if found["wrong_series"]:
            raise RuntimeError(f"{found['wrong_series']} series are wrong with {senders} senders and {more}")
        return {**found, "interval_s": interval, "label_sets": flags["series"]}

    def senders(self) -> list[Row]:
        """Three to three thousand at one pace."""
        return [self._undisturbed(senders) for senders in (3, 30, 300, 3000)]

    def _undisturbed(self, senders: int) -> Row:
        """One in which few exports wait at once: where others have the processor they pile up, and take memory."""
        best = self.one(senders, _WRITTEN_BACK)
        for _ in range(2):
            if best["sockets"] > _BUSY:
                best = min(best, self.one(senders, _WRITTEN_BACK), key=lambda run: int(run["sockets"]))
        return best

    def ways(self) -> dict[str, Row]:
        """What else a sender may bring: a connection that it keeps, series of its own."""
        return {
            "an HTTP connection kept by each": self.one(3000, connection="kept"),
            "a gRPC connection of each": self.one(3000, connection="grpc"),
            "five levels of each": self.one(3000, levels=5),
        }

    def sizes(self) -> list[Row]:
        """Label sets, and points per second."""
        kinds: list[Row] = [{"series": 200}, {"series": 20_000, "points": 500}, {"rate": 5_000}, {"rate": 80_000}]
        return [self.one(300, _WRITTEN_BACK, **each) for each in kinds]

    def synced(self) -> Row:
        """Every commit on the disk before its exports are acknowledged."""
        return self.one(300, _WRITTEN_BACK, fsync=True)

    def churn(self) -> dict[str, Row]:
        """Three thousand senders a minute; and as many as a table has places for, each of which comes once."""
        table: Row = {"points": 10, "series": 200, "rate": 30_000, "connection": "kept"}
        return {
            "replaced": self.one(750, life="15s"),
            "few": self.one(32, **table),
            "full": self.one(32, **table, life="1ms", max_senders=30_000),
        }


def prometheus_by_series(program: Path, seconds: int) -> Iterator[Row]:
    """What Prometheus takes to scrape the page of one collector every second."""
    for label_sets in (200, 2_000, 20_000):
        directory = program.parent / f"prometheus-{label_sets}"
        collector = Collector(DURABLE)
        collector.start()
        target = f"{collector.endpoint}/v1/metrics"
        filling = {"senders": 8, "points": 200, "series": label_sets, "rate": 20_000, "for_": "4s"}
        try:
            said(fleet(program, url=target, **filling))
            prometheus = Prometheus.scraping(directory, f"127.0.0.1:{collector.ports['TOTALS']}")
            try:
                yield {"label_sets": label_sets, **_scraped(prometheus, seconds)}
            finally:
                prometheus.kill()
        finally:
            collector.close()


def _scraped(prometheus: Prometheus, seconds: int) -> Row:
    begun = prometheus.cpu()
    seen: list[float] = []
    for _ in range(seconds):
        time.sleep(1)
        seen.append(prometheus.memory())
    took = prometheus.value("avg_over_time(scrape_duration_seconds[1m])")
    return {
        "series": prometheus.value("scrape_samples_post_metric_relabeling"),
        "scrape_ms": round(took * 1000, 1),
        "rss_mib": round(median(seen[len(seen) // 2 :]), 1),
        "cpu_ms_per_scrape": round((prometheus.cpu() - begun) / seconds * 1000, 1),
    }


def at_once(program: Path, name: str, scenario: scenarios.Scenario) -> scenarios.Beside:
    """Every peer in one scenario, all at the same time."""
    return scenarios.Beside(
        {
            kind.name: partial(scenarios.run, program, kind, scenario, program.parent / f"{name}-{kind.__name__}")
            for kind in peers.ALL
        }
    )


def measure(seconds: int, idle_minutes: float) -> Row:
    """All of it."""
    with fleetload() as program:
        beside = at_once(program, "idle", scenarios.idle(5, idle_minutes))
        time.sleep(15)  # until they are idle
        runs = Runs(program, seconds)
        found: Row = {
            "senders": runs.senders(),
            "ways": runs.ways(),
            "sizes": runs.sizes(),
            "synced": runs.synced(),
            "churn": runs.churn(),
            "prometheus": list(prometheus_by_series(program, seconds)),
            "peers": {
                what: at_once(program, str(number), scenario).join()
                for number, (what, scenario) in enumerate(scenarios.scenarios(12).items())
            },
        }
        found["peers"][f"{idle_minutes:g} idle minutes"] = beside.join()
    return {"seconds": seconds, "points_per_export": POINTS, "rate": RATE, **found}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--idle-minutes", type=float, default=10)
    chosen = parser.parse_args()
    store("scale", measure(chosen.seconds, chosen.idle_minutes))
