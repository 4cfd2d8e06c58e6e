"""What an application counts with `prometheus_client` leaves with ours, once, also over forks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily

from support.waiting import eventually
from telemetry import Settings, guard, setup, testing
from telemetry.instrumentation import registry as module
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import run, started

ASKED = {"TELEMETRY_PROMETHEUS_CLIENT": "true"}
BEGIN = """
import os, sys
import prometheus_client as prometheus
jobs = prometheus.Counter("jobs", "Jobs.", ["kind"])
job_seconds = prometheus.Histogram("job_seconds", "Seconds.", buckets=(0.1, 1.0))
waiting = prometheus.Gauge("jobs_waiting", "Waiting.")
jobs.labels("before").inc(5)
import telemetry
t = telemetry.configure("test")
def work(count):
    for _ in range(count):
        jobs.labels("a").inc(); job_seconds.observe(0.5)
    waiting.set(count)
"""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[CollectorRegistry]:
    """A registry in the place of the default one."""
    made = CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", made)
    return made


def test_each_kind_leaves_as_what_it_is(own: CollectorRegistry) -> None:
    """Counters and histograms grow, gauges stand, series that are removed are gone; states and information are left out."""
    counter = prometheus_client.Counter("jobs", "Jobs.", ["kind"], registry=own)
    histogram = prometheus_client.Histogram("job_seconds", "Seconds.", buckets=(0.1, 1.0), registry=own)
    summary = prometheus_client.Summary("job_bytes", "Bytes.", registry=own)
    gauge = prometheus_client.Gauge("jobs_waiting", "Waiting.", ["queue"], registry=own)
    prometheus_client.Info("build", "Build.", registry=own).info({"version": "1"})
    with testing.captured(Settings(prometheus_client=True)) as captured:
        for _ in range(2):
            counter.labels("a").inc(2)
            histogram.observe(0.5)
            histogram.observe(5)
            summary.observe(100)
            gauge.labels("q").set(3)
            gauge.labels("gone").set(4)
            captured.telemetry.observe()
        gauge.remove("gone")
        assert captured.series("jobs_total") == {(("kind", "a"),): 4}
        assert captured.buckets("job_seconds") == [0, 2, 2]
        assert captured.histogram_sum("job_seconds") == 11
        assert (captured.value("job_bytes"), captured.histogram_sum("job_bytes")) == (2, 200)
        assert captured.series("jobs_waiting") == {(("queue", "q"),): 3}
        assert "build_info" not in captured.metrics()


def test_values_below_zero_and_none_count_once(own: CollectorRegistry) -> None:
    """`prometheus_client` takes negative values and NaN: what it counts of them counts once, sums stay finite and do not fall."""
    histogram = prometheus_client.Histogram("job_balance", "Euros.", buckets=(0.0, 1.0), registry=own)
    counter = prometheus_client.Counter("jobs", "Jobs.", registry=own)
    with testing.captured(Settings(prometheus_client=True)) as captured:
        for value in (0.5, -3.0, 0.5, float("nan"), 0.5):
            histogram.observe(value)
            captured.telemetry.observe()
            captured.telemetry.observe()
        assert captured.buckets("job_balance") == [1, 3, 0]  # NaN is in none of its buckets
        assert captured.histogram_sum("job_balance") == 0.5
        assert captured.total("telemetry_rejected_values_total", metric="job_balance") == 3
        counter.inc(float("nan"))
        captured.telemetry.observe()
        captured.telemetry.observe()
        assert captured.total("telemetry_rejected_values_total", metric="jobs_total") == 1


def test_nothing_is_taken_unasked(own: CollectorRegistry) -> None:
    """Without the setting the registry is left alone."""
    prometheus_client.Counter("jobs", "Jobs.", registry=own).inc()
    with testing.captured() as captured:
        assert captured.series("jobs_total") == {}


def test_our_names_are_not_counted_twice(own: CollectorRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """A metric under a name of the catalogue, as other instrumentors have it, is left out, and one line says so."""
    prometheus_client.Counter("http_requests", "Of another.", ["handler"], registry=own).labels("/x").inc(7)
    with testing.captured(Settings(prometheus_client=True)) as captured:
        captured.telemetry.http.answered("GET", "/x", 200, 0.1)
        captured.telemetry.observe()
        assert captured.total("http_requests_total") == 1
    assert caplog.text.count("prometheus_client has http_requests_total") == 1


def test_metrics_are_bounded(
    own: CollectorRegistry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More metrics than there is room for are left out, and one line says so."""
    monkeypatch.setattr(module, "MOST_METRICS", 3)
    for number in range(6):
        prometheus_client.Counter(f"jobs_{number}", "Jobs.", registry=own).inc()
    with testing.captured(Settings(prometheus_client=True)) as captured:
        captured.telemetry.observe()
        assert len([name for name in captured.metrics() if name.startswith("jobs_")]) == 3
    assert caplog.text.count("more than 3 metrics") == 1


def test_collector_that_fails_takes_nobody_with_it(own: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector of the application that raises costs its registry one reading, not our export."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)

    class Broken:
        def describe(self) -> list[prometheus_client.Metric]:
            return []

        def collect(self) -> Iterator[prometheus_client.Metric]:
            raise OSError("gone")

    own.register(Broken())
    with testing.captured(Settings(prometheus_client=True)) as captured:
        captured.telemetry.http.answered("GET", "/x", 200, 0.1)
        assert captured.total("http_requests_total") == 1


def test_series_that_is_made_again_counts_whole(own: CollectorRegistry) -> None:
    """A series that is removed and made again counts from 0, also where it is above what it had before."""
    counter = prometheus_client.Counter("jobs", "Jobs.", ["kind"], registry=own)
    histogram = prometheus_client.Histogram("job_seconds", "Seconds.", ["kind"], buckets=(1.0,), registry=own)
    with testing.captured(Settings(prometheus_client=True)) as captured:
        for count in (2, 5):
            counter.labels("a").inc(count)
            for _ in range(count):
                histogram.labels("a").observe(0.5)
            captured.telemetry.observe()
            counter.remove("a")
            histogram.remove("a")
        assert (captured.total("jobs_total"), captured.total("job_seconds")) == (7, 7)


class Theirs:
    """A collector of an application's own, which is asked how often it was read."""

    def __init__(self) -> None:
        self.value, self.reads, self.created = 3.0, 0, 0.0

    def describe(self) -> list[prometheus_client.Metric]:
        return []

    def collect(self) -> Iterator[prometheus_client.Metric]:
        self.reads += 1
        self.created += 1
        if self.value:
            family = CounterMetricFamily("theirs", "Theirs.", labels=["kind"])
            family.add_metric(["a"], self.value, created=self.created)
            yield family


def test_collectors_of_others_are_not_read_at_a_fork(own: CollectorRegistry) -> None:
    """A collector of the application is read at collections alone, and a child goes on from the last of them."""
    theirs = Theirs()
    own.register(theirs)
    counter = prometheus_client.Counter("jobs", "Jobs.", registry=own)
    with testing.captured(Settings(prometheus_client=True)) as captured:
        captured.telemetry.observe()
        counter.inc(5)
        captured.telemetry.before_fork()
        assert theirs.reads == 1
        registry = captured.telemetry._registry
        assert registry is not None
        registry.after_fork_in_child()
        theirs.value = 4.0
        captured.telemetry.observe()
        assert (captured.total("theirs_total"), captured.total("jobs_total")) == (4, 0)


def test_series_that_come_and_go_count_once(own: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a collector leaves out and brings back counts once; of what is gone, a bounded number is remembered."""
    monkeypatch.setattr(module, "MOST_GONE", 3)
    theirs = Theirs()
    own.register(theirs)
    counter = prometheus_client.Counter("jobs", "Jobs.", ["kind"], registry=own)
    with testing.captured(Settings(prometheus_client=True)) as captured:
        for value in (3.0, 0.0, 3.0):
            theirs.value = value
            captured.telemetry.observe()
        assert captured.total("theirs_total") == 3
        for number in range(20):
            counter.labels(str(number)).inc()
            captured.telemetry.observe()
            counter.remove(str(number))
        registry = captured.telemetry._registry
        assert registry is not None
        assert len(registry._seen) <= 1 + 1 + 3
        assert captured.total("jobs_total") == 20


def test_forked_children_count_their_own(sink: OtlpSink) -> None:
    """What was counted before a fork counts once, what each child counts does too, though no child says anything else."""
    run(
        """
        work(10)
        for number in range(4):
            pid = os.fork()
            if pid == 0:
                work(number)
                sys.exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        work(1)
        """,
        sink.url,
        begin=BEGIN,
        **ASKED,
    )
    assert sink.total("jobs_total", kind="before") == 5
    assert sink.total("jobs_total", kind="a") == 10 + 0 + 1 + 2 + 3 + 1
    assert sink.total("job_seconds") == 17


def test_forked_child_is_read_while_it_lives(sink: OtlpSink) -> None:
    """A child that counts nothing but by `prometheus_client` is read at each interval, not only at its end."""
    code = "pid = os.fork(); pid or work(7); signal.pause()"
    with started(code, sink.url, begin=f"import signal{BEGIN}", **ASKED):
        assert eventually(lambda: sink.total("jobs_total", kind="a") == 7)


def test_fork_waits_for_nobody(own: CollectorRegistry) -> None:
    """A fork while another thread collects, for ever, goes on."""
    made = setup.Telemetry(Settings(prometheus_client=True))
    assert made._registry is not None
    with made._registry._lock:
        told = threading.Thread(target=made.before_fork, daemon=True)
        told.start()
        told.join(5)
        assert not told.is_alive()
