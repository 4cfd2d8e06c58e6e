"""Native histograms in a real Prometheus: one series instead of one for each bucket, exact under kills, beside the classic ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.collector import CONFIG, DURABLE, Collector, running
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


Seen = tuple[Collector, prometheus.Prometheus]


@contextmanager
def _seen(config: Path, *names: str) -> Iterator[Seen]:
    """A collector and a Prometheus that scrapes it by jobs: `native` histograms alone, `both`, buckets that it joins itself."""
    with ExitStack() as ended:
        collector = ended.enter_context(running(config))
        targets = [f"127.0.0.1:{collector.ports['TOTALS']}"] * len(names)
        jobs = [
            {
                "job_name": job,
                "scrape_native_histograms": job != "converted",
                "convert_classic_histograms_to_nhcb": job == "converted",
                "always_scrape_classic_histograms": job == "both",
                "static_configs": [{"targets": targets[:1]}],
            }
            for job in names
        ]
        yield collector, ended.enter_context(prometheus.running(targets, 0.2, jobs))


@pytest.fixture
def seen() -> Iterator[Seen]:
    """The durable collector, scraped in three ways."""
    with _seen(DURABLE, "native", "both", "converted") as made:
        yield made


@pytest.fixture
def official() -> Iterator[Seen]:
    """What the official distribution runs, scraped as native histograms."""
    with _seen(CONFIG, "native", "both") as made:
        yield made


def test_native_histogram_is_exact(seen: Seen, tmp_path: Path) -> None:
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


def test_official_distribution_is_exact_while_it_lives(official: Seen, tmp_path: Path) -> None:
    """Counts are what was done by senders of which one is killed, and what Prometheus saw outlives a kill of the collector."""
    collector, page = official
    state = {"TELEMETRY_STATE_DIR": str(tmp_path / "state"), **NATIVE}
    kept = {**state, "OTEL_METRIC_EXPORT_INTERVAL": "600000"}
    with started(KILLED.format(count=200, seconds=0.3), collector.endpoint, **kept) as killed:
        assert line(killed) == "timed"
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    _timed(100, 0.045, collector, state)
    native = f'{DURATION}{{endpoint="/x",job="native"}}'
    assert eventually(lambda: _number(page, f"histogram_count({native})") == 300)
    assert _number(page, f"histogram_sum({native})") == pytest.approx(200 * 0.3 + 100 * 0.045)
    assert _number(page, f"histogram_quantile(0.5, {native})") == pytest.approx(0.3, rel=0.09)
    assert _number(page, f"histogram_quantile(0.1, {native})") == pytest.approx(0.045, rel=0.09)
    assert len(page.query(f'{{__name__=~"{DURATION}.*",job="native"}}')) == 1
    collector.kill()
    collector.start()
    _timed(50, 0.3, collector, state)
    assert eventually(lambda: _number(page, f"histogram_count({native})") == 50)
    assert eventually(lambda: _number(page, f"histogram_count(increase({native}[10m] anchored))") == 350)


def test_official_distribution_widens_buckets(official: Seen, tmp_path: Path) -> None:
    """Values that lie further apart than 160 buckets reach have buckets of twice the width, and every count."""
    collector, page = official
    state = {"TELEMETRY_STATE_DIR": str(tmp_path / "state"), **NATIVE}
    for count, seconds in ((100, 0.00001), (200, 0.3), (100, 1000.0)):
        _timed(count, seconds, collector, state)
    native = f'{DURATION}{{endpoint="/x",job="native"}}'
    assert eventually(lambda: _number(page, f"histogram_count({native})") == 400)
    assert _number(page, f"histogram_fraction(0.25, 0.36, {native})") == pytest.approx(0.5, abs=0.01)
    buckets = page.query(native)[0]["histogram"][1]["buckets"]
    assert [float(high) / float(low) for _, low, high, _ in buckets] == [pytest.approx(2**0.25)] * 3
    for quantile, seconds in ((0.1, 0.00001), (0.5, 0.3), (0.9, 1000.0)):
        assert _number(page, f"histogram_quantile({quantile}, {native})") == pytest.approx(seconds, rel=0.19)


def test_official_distribution_wants_one_kind(official: Seen, tmp_path: Path) -> None:
    """It has no classic form of a native histogram; where services of both kinds send, one of the two is shown, and logged."""
    collector, page = official
    state = {"TELEMETRY_STATE_DIR": str(tmp_path / "state")}
    _timed(10, 0.3, collector, {**state, **NATIVE})
    both = f'{DURATION}{{endpoint="/x",job="both"}}'
    assert eventually(lambda: _number(page, f"histogram_count({both})") == 10)
    assert page.query(f'{{__name__=~"{DURATION}_.*"}}') == []
    _timed(20, 0.3, collector, state)
    assert eventually(lambda: "was collected before with the same name and label values" in collector.log())
    assert collector.total("http_requests_total", endpoint="/x") == 30
    assert collector.total(DURATION, endpoint="/x") in {10, 20}


def _timed(count: int, seconds: float, collector: Collector, variables: Mapping[str, str]) -> None:
    """A process that records so many durations, delivers them and what others left, and ends."""
    with started(EXPORTED.format(count=count, seconds=seconds), collector.endpoint, **variables) as sender:
        assert line(sender) == "timed"
        finish(sender)


def _number(page: prometheus.Prometheus, query: str) -> float:
    return sum(float(series["value"][1]) for series in page.query(query))
