"""Native histograms in a real Prometheus: one series instead of one for each bucket, exact under kills, beside the classic ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.collector import DURABLE, Collector, running
from support.waiting import eventually
from tests.support import prometheus
from tests.support.processes import finish, line, started

DURATION = "http_request_duration_seconds"
SELECTED = '{endpoint="/x"}'
NATIVE = {
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
    "OTEL_METRICS_EXEMPLAR_FILTER": "trace_based",
}
TIMED = "from tests.support import spans\nfor n in range({count}):\n    with spans.current(): timed({seconds})\n"
KILLED = f"{TIMED}say('timed'); sys.stdin.read()\n"
EXPORTED = f"{TIMED}t.force_flush(); say('timed')\n"


@pytest.fixture
def seen() -> Iterator[tuple[Collector, prometheus.Prometheus]]:
    """A collector and a Prometheus that scrapes it as native histograms alone, as both, and as buckets that it joins itself."""
    with ExitStack() as ended:
        collector = ended.enter_context(running(DURABLE))
        targets = [f"127.0.0.1:{collector.ports['TOTALS']}"] * 3
        jobs = [
            {
                "job_name": job,
                "scrape_native_histograms": job != "converted",
                "convert_classic_histograms_to_nhcb": job == "converted",
                "always_scrape_classic_histograms": job == "both",
                "static_configs": [{"targets": targets[:1]}],
            }
            for job in ("native", "both", "converted")
        ]
        yield collector, ended.enter_context(prometheus.running(targets, 0.2, jobs))


def test_native_histogram_is_exact(seen: tuple[Collector, prometheus.Prometheus], tmp_path: Path) -> None:
    """Counts of native histograms are what was done, by senders of both kinds, one of them killed, over a kill of the collector."""
    collector, page = seen
    state = {"TELEMETRY_STATE_DIR": str(tmp_path / "state")}
    with started(EXPORTED.format(count=10, seconds=0.7), collector.endpoint, **state) as classic:
        assert line(classic) == "timed"
        finish(classic)
    kept = {**state, **NATIVE, "OTEL_METRIC_EXPORT_INTERVAL": "600000"}
    with started(KILLED.format(count=200, seconds=0.3), collector.endpoint, **kept) as killed:
        assert line(killed) == "timed"
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    with started(EXPORTED.format(count=100, seconds=0.045), collector.endpoint, **state, **NATIVE) as heir:
        assert line(heir) == "timed"
        finish(heir)
    collector.kill()
    collector.start()

    def count(job: str, function: str) -> float:
        return _number(page, f'{function}(sum({DURATION}{{endpoint="/x",job="{job}"}}))')

    for job in ("native", "both", "converted"):
        assert eventually(lambda job=job: count(job, "histogram_count") == 310), job
    assert count("native", "histogram_sum") == pytest.approx(200 * 0.3 + 100 * 0.045 + 10 * 0.7)
    assert eventually(lambda: _number(page, f"{DURATION}_count{SELECTED}") == 310)
    for job in ("native", "converted"):
        assert len(page.query(f'{{__name__=~"{DURATION}.*",job="{job}",endpoint="/x"}}')) == 1
    assert len(page.query(f'{{__name__=~"{DURATION}.*",job="both",endpoint="/x"}}')) > 10
    assert _number(page, f'{DURATION}_bucket{{endpoint="/x",le="0.5"}}') == 300
    assert _number(page, f'histogram_quantile(0.5, sum({DURATION}{{job="native"}}))') == pytest.approx(0.3, rel=0.09)
    assert _number(page, f'histogram_quantile(0.1, sum({DURATION}{{job="native"}}))') == pytest.approx(0.045, rel=0.09)
    increase = f'histogram_count(sum(increase({DURATION}{{endpoint="/x",job="native"}}[10m] anchored)))'
    assert eventually(lambda: _number(page, increase) == 310)


def _number(page: prometheus.Prometheus, query: str) -> float:
    return sum(float(series["value"][1]) for series in page.query(query))
