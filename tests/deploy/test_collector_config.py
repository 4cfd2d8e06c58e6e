"""Both configurations in the real collector: many senders, one exact series; levels and facts as documented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from support.collector import CONFIG, DURABLE, Collector, running
from support.waiting import eventually
from tests.support.beside import at_once
from tests.support.sender import CUMULATIVE, Sender

LABELS = {"method": "GET", "endpoint": "/x"}
PROD = (("endpoint", "/x"), ("environment", "prod"), ("method", "GET"))


BOTH = pytest.mark.parametrize("config", [CONFIG, DURABLE], ids=["official", "durable"])


@pytest.fixture(scope="module", params=[CONFIG, DURABLE], ids=["official", "durable"])
def collector(request: pytest.FixtureRequest) -> Iterator[Collector]:
    """One collector of each configuration for the module; each test has metric names of its own."""
    with running(request.param) as made:
        yield made


def test_senders_are_one_series(collector: Collector) -> None:
    """Three instances counting the same thing are one series, summed, with the sender's labels and `environment`."""
    for instance in ("a", "b", "c"):
        sender = Sender(collector, instance)
        for _ in range(10):
            sender.counter("one_series_total", 1, LABELS)
    assert collector.settles_at("one_series_total", 30) == 30
    assert set(collector.series("one_series_total")) == {PROD}


def test_concurrent_senders_lose_nothing(collector: Collector) -> None:
    """Twenty senders of one series at once: every count and every histogram point arrives."""

    def send(number: int) -> None:
        sender = Sender(collector, f"s{number}")
        for _ in range(50):
            sender.counter("concurrent_total", 1, LABELS)
            sender.histogram("concurrent_seconds", [0.05, 0.5], LABELS, [0.1, 1.0])

    at_once(send, 20)
    assert collector.settles_at("concurrent_total", 1000) == 1000
    assert collector.settles_at("concurrent_seconds", 2000) == 2000


def test_mixed_fleet_is_exact(collector: Collector) -> None:
    """Library versions, integers and floats, units, clocks an hour off and cumulative senders in one series."""
    senders = [
        Sender(collector, "v1"),
        Sender(collector, "v2", scope_version="2"),
        Sender(collector, "unit", unit="{request}"),
        Sender(collector, "ahead", clock_skew=3600),
        Sender(collector, "behind", clock_skew=-3600),
    ]
    for sender in senders:
        sender.counter("mixed_total", 0, LABELS)
    for number in range(10):
        for sender in senders:
            sender.counter("mixed_total", 1, LABELS, as_int=number % 2 == 0)
    go = Sender(collector, "go")
    for value in range(1, 11):
        go.counter("mixed_total", value, LABELS, temporality=CUMULATIVE, as_int=True)
    assert collector.settles_at("mixed_total", 60) == 60
    assert set(collector.series("mixed_total")) == {PROD}


def test_levels_keep_their_instance(collector: Collector) -> None:
    """A level is one series per process and has no `job`."""
    for instance, value in (("a", 2), ("b", 3)):
        Sender(collector, instance).level("level_now", value, LABELS)
    assert collector.settles_at("level_now", 5) == 5
    assert set(collector.series("level_now")) == {(*PROD[:2], ("instance", name), PROD[2]) for name in ("a", "b")}


def test_last_fact_wins(collector: Collector) -> None:
    """A fact is one series whoever reports it, and the last report is what it says, whatever the senders' clocks."""
    Sender(collector, "ahead", clock_skew=3600).fact("fact_now", 7, LABELS)
    assert collector.settles_at("fact_now", 7) == 7
    Sender(collector, "b").fact("fact_now", 4, LABELS)
    assert collector.settles_at("fact_now", 4) == 4
    assert set(collector.series("fact_now")) == {PROD}


def test_environments_stay_apart(collector: Collector) -> None:
    """`environment` comes from the resource and is `dev` where a sender says none."""
    Sender(collector, "a", environment="stage").counter("apart_total", 2, LABELS)
    Sender(collector, "b", environment=None).counter("apart_total", 3, LABELS)
    assert collector.settles_at("apart_total", 5) == 5
    assert collector.total("apart_total", environment="stage") == 2
    assert collector.total("apart_total", environment="dev") == 3


def test_namespaces_stay_apart(collector: Collector) -> None:
    """Each point of a sender with `service.namespace` has the label, whatever its own labels say; no point of others has it."""
    mine = {"service_namespace": "mine", "service.namespace": "mine"}
    senders = [
        (Sender(collector, instance, resource=resource), labels)
        for instance, resource, labels in (
            ("a", {"service.namespace": "shop"}, mine),
            ("b", {"service.namespace": "shop"}, {}),
            ("c", {"service.namespace": "search"}, {}),
            ("d", {"service.namespace": ""}, {}),
            ("e", {}, {}),
        )
    ]
    for sender, labels in senders:
        assert sender.send(_of_every_kind(sender, labels)).status_code == httpx.codes.OK
    added = {"shop": 2.0, "search": 1.0, "": 2.0}
    for metric, expected in (
        ("apart_by_total", added),
        ("apart_by_seconds", added),
        ("apart_by_level", added),
        ("apart_by_fact", dict.fromkeys(added, 1.0)),
    ):
        assert collector.settles_at(metric, 2 * sum(expected.values())) == 2 * sum(expected.values())
        shown = {key: dict(key) for key in collector.series(metric)}
        assert {frozenset(labels) - {"instance"} for labels in shown.values()} == {
            frozenset({"environment", "number"}),
            frozenset({"environment", "number", "service_namespace"}),
        }
        for number in ("1", "2"):
            by_namespace = dict.fromkeys(expected, 0.0)
            for key, value in collector.series(metric).items():
                if shown[key]["number"] == number:
                    by_namespace[shown[key].get("service_namespace", "")] += value
            assert by_namespace == expected, metric


def _of_every_kind(sender: Sender, labels: dict[str, str]) -> ExportMetricsServiceRequest:
    """One export with two points of each kind."""
    whole = ExportMetricsServiceRequest()
    for number in ("1", "2"):
        of = {**labels, "number": number}
        for request in (
            sender.request_of_counter("apart_by_total", 1, of),
            sender.request_of_histogram("apart_by_seconds", [0.05], of, [0.1]),
            sender.request_of_level("apart_by_level", 1, of),
            sender.request_of_fact("apart_by_fact", 1, of),
        ):
            if not whole.resource_metrics:
                whole.CopyFrom(request)
            else:
                whole.resource_metrics[0].scope_metrics.extend(request.resource_metrics[0].scope_metrics)
    return whole


def test_streams_are_bounded_and_drops_are_seen(tmp_path: Path) -> None:
    """In `otel-collector.yaml`, series beyond the limit are refused, counted by the collector's own metric, and those it knows go on."""
    config = tmp_path / "few-streams.yaml"
    text = CONFIG.read_text()
    assert "max_streams: 100000" in text
    config.write_text(text.replace("max_streams: 100000", "max_streams: 3"))
    with running(config) as collector:
        sender = Sender(collector, "a")
        for number in range(5):
            sender.counter("bounded_total", 1, {"number": str(number)})
        sender.counter("bounded_total", 1, {"number": "0"})
        assert collector.settles_at("bounded_total", 4) == 4
        assert collector.dropped_points() == 2


@BOTH
def test_full_collector_refuses_as_a_whole(config: Path) -> None:
    """Above its memory limit it takes nothing and says so in a way that senders keep what they have."""
    with running(config, {"OTELCOL_MEMORY_MIB": "1"}) as collector:
        assert eventually(lambda: _answer(collector) == httpx.codes.SERVICE_UNAVAILABLE)


@pytest.mark.parametrize("page", ["TOTALS", "LEVELS"])
def test_pages_are_the_same(page: str) -> None:
    """What one configuration shows, the other shows in the same words: families, help, types, labels, bounds, values."""
    shown = []
    for config in (CONFIG, DURABLE):
        with running(config) as collector:
            sender = Sender(collector, "a")
            sender.counter("one_total", 3, LABELS)
            sender.counter("dotted.name_total", 2.5, {"dotted.label": 'quoted "text"\n\\'})
            sender.histogram("seconds", [0.05, 0.5, 3], LABELS, [0.1, 1.0])
            sender.level("level", 2, LABELS)
            sender.fact("fact", 7, {})
            for metric in ("one_total", "dotted_name_total", "seconds", "level", "fact"):
                assert eventually(lambda metric=metric, at=collector: bool(at.series(metric)))
            shown.append(httpx.get(collector.url(page)).text)
    assert shown[0] == shown[1]


def _answer(collector: Collector) -> int:
    request = Sender(collector, "a").request_of_counter("kept_total", 1, LABELS)
    url, head = f"{collector.endpoint}/v1/metrics", {"Content-Type": "application/x-protobuf"}
    return httpx.post(url, content=request.SerializeToString(), headers=head).status_code
