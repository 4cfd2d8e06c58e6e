"""Senders that mean harm, or are broken, beside honest ones: every honest count is exact, memory and scrape stay within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from support import exposition
from support.collector import DURABLE, Collector, running
from support.waiting import eventually
from tests.deploy import attacks
from tests.support import prometheus
from tests.support.honest import BOUNDS, COUNTER, HONEST, SECONDS, honest_fleet, shown
from tests.support.sender import Sender

MEMORY_MIB = 512
"""What the collector uses at most: all budgets used up, and one export of the largest size and the smallest points under way."""
SCRAPE_SECONDS = 2.0
INVALID = b"~~not utf-8~~"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """One collector for all attacks: what one leaves behind must not help the next."""
    with running(DURABLE, attacks.DEPLOYED) as made:
        yield made


def _request(name: str, points: int, label: Callable[[int], str], **resource: str) -> ExportMetricsServiceRequest:
    """A hostile export: many points of a counter, each with a label of its own."""
    request = ExportMetricsServiceRequest()
    rm = request.resource_metrics.add()
    for key, text in {"service.name": "hostile", "deployment.environment.name": "prod", **resource}.items():
        rm.resource.attributes.add(key=key).value.string_value = text
    metric = rm.scope_metrics.add().metrics.add(name=name)
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 1
    for number in range(points):
        point = metric.sum.data_points.add(as_double=1, time_unix_nano=time.time_ns())
        point.attributes.add(key="k").value.string_value = label(number)
    return request


def label_bomb(sender: Sender) -> None:
    """150,000 label sets of the honest fleet's own metric, long ones."""
    for part in range(30):
        sender.send(_request(COUNTER, 5000, lambda number, part=part: f"{part}-{number}-{'x' * 200}"))


def environment_bomb(sender: Sender) -> None:
    """Made-up environments."""
    for number in range(300):
        sender.send(_request(COUNTER, 1, str, **{"deployment.environment.name": f"made-up-{number}"}))


def name_bomb(sender: Sender) -> None:
    """5,000 made-up metrics."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    for number in range(5000):
        metrics.add().CopyFrom(
            _request(f"made_up_{number}_total", 1, str).resource_metrics[0].scope_metrics[0].metrics[0]
        )
    sender.send(request)


def level_bomb(sender: Sender) -> None:
    """100,000 made-up processes that report a level, and as many facts."""
    for part in range(20):
        request = _request("http_requests_in_progress", 5000, lambda number, part=part: f"{part}-{number}")
        metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = False, 2
        fact = request.resource_metrics[0].scope_metrics[0].metrics.add(name="celery_queue_length")
        fact.gauge.data_points.extend(metric.sum.data_points)
        sender.send(request)


def giant_body(sender: Sender) -> None:
    """Exports of 64 MB, which are refused, and of 15 MB, which are not."""
    for size in (64_000_000, 15_000_000):
        for _ in range(3):
            try:
                sender.send(_request("giant_total", 3, lambda number, size=size: "x" * (size // 3)))
            except httpx.TransportError:
                continue  # it may close the connection before it has read all


def many_points(sender: Sender) -> None:
    """Exports of the largest size made of the smallest points."""
    for _ in range(2):
        sender.send(_request("points_total", 250_000, lambda number: "x"))


def far_ahead(sender: Sender) -> None:
    """Numbers far ahead, and a flood of senders that come once."""
    for number in range(2000):
        request = _request("ahead_total", 1, str)
        attributes = request.resource_metrics[0].resource.attributes
        attributes.add(key="telemetry.sender.id").value.string_value = f"ahead-{number % 1000}"
        attributes.add(key="telemetry.sender.sequence").value.int_value = 2**62 + number * 20_000
        sender.send(request)


def anothers_name(sender: Sender) -> None:
    """An honest sender's name and number with another resource, and with the same one."""
    for resource in ("hostile", "test"):
        for number in range(1, 50):
            request = _request("stolen_total", 1, str, **{"service.name": resource, "service.instance.id": "honest-0"})
            attributes = request.resource_metrics[0].resource.attributes
            attributes.add(key="telemetry.sender.id").value.string_value = "honest-0"
            attributes.add(key="telemetry.sender.sequence").value.int_value = number
            sender.send(request)


def no_amounts(sender: Sender) -> None:
    """Not a number, infinite and negative amounts, in counters and histograms."""
    for amount in (float("nan"), float("inf"), float("-inf"), -1.0):
        request = _request(COUNTER, 1, str)
        request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].as_double = amount
        sender.send(request)
        histogram = sender.request_of_histogram(SECONDS, [0.03], HONEST, BOUNDS)
        histogram.resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0].sum = amount
        sender.send(histogram)


def wrapped_counts(sender: Sender) -> None:
    """Bucket counts near the end of their range, in the honest series: added up, they would wrap and fall."""
    for _ in range(4):
        request = sender.request_of_histogram(SECONDS, [0.03], HONEST, BOUNDS)
        point = request.resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0]
        point.bucket_counts[3] = 2**64 - 1
        sender.send(request)


def huge_amounts(sender: Sender) -> None:
    """Amounts that add up to more than there is."""
    for _ in range(3):
        sender.counter("llm_cost_usd_total", 1.7e308, {"provider": "hostile"})


def other_kind(sender: Sender) -> None:
    """Known metrics sent as what they are not, names that belong to a known histogram, odd bounds."""
    sender.fact(COUNTER, 7, HONEST)
    sender.level(COUNTER, 7, HONEST)
    sender.histogram(COUNTER, [1], HONEST, [1])
    sender.counter(SECONDS, 1, HONEST)
    for part in ("bucket", "count", "sum", "created"):
        sender.counter(f"{SECONDS}_{part}", 1, HONEST)
        sender.fact(f"{SECONDS}_{part}", 1, HONEST)
    for number in range(1, 40):
        sender.histogram(SECONDS, [], HONEST, [number / 7, number * 3.3])


def not_utf8(sender: Sender) -> None:
    """Bytes that are no text, wherever text can stand: one of them on a page would break the whole scrape."""
    word = INVALID.decode()
    request: Any = _request(f"name_{word}_total", 1, lambda number: word, **{"deployment.environment.name": word})
    metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
    metric.description = word
    metric.sum.data_points[0].attributes.add(key=word).value.string_value = word
    for name in (metric.name, COUNTER, "new_total"):
        metric.name = name
        sender.send(request.SerializeToString().replace(INVALID, b"\xff\xfe\x80" + INVALID[3:]))
    sender.send(b"\x0a\xff\xff\xff\xff\x0fno request at all")


def odd_times(sender: Sender) -> None:
    """Points of the year 1970, of the year 2554, that end before they begin, in cumulative streams, too."""
    last = 2**64 - 1
    for start, end in ((0, 0), (0, 1), (last, last), (last, 0), (1, last)):
        for temporality in (1, 2):
            request = sender.request_of_counter("times_total", 1, HONEST, temporality=temporality)
            point = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
            point.start_time_unix_nano, point.time_unix_nano = start, end
            sender.send(request)


def twice_the_label(sender: Sender) -> None:
    """The honest series' labels twice, with other values, and a resource's attributes twice."""
    request = sender.request_of_counter(COUNTER, 1, HONEST)
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    for key in (*HONEST, "environment", "le", "__name__"):
        point.attributes.add(key=key).value.string_value = "twice"
        request.resource_metrics[0].resource.attributes.add(key="deployment.environment.name").value.string_value = key
    sender.send(request)


def too_long(sender: Sender) -> None:
    """Names, values, senders' names and resources of megabytes, and ten thousand labels on one point."""
    word = "x" * 2_000_000
    request: Any = _request(
        COUNTER, 1, str, **{"telemetry.sender.id": word, "deployment.environment.name": word, word: word}
    )
    attributes = request.resource_metrics[0].resource.attributes
    attributes.add(key="telemetry.sender.sequence").value.int_value = 1
    metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
    metric.description = metric.unit = word
    sender.send(request)
    for number in range(10_000):
        metric.sum.data_points[0].attributes.add(key=f"l{number}").value.string_value = "v"
    sender.send(request)
    metric.name = word
    sender.send(request)


def odd_buckets(sender: Sender) -> None:
    """Buckets that do not go with their bounds, bounds that fall, repeat, are infinite or no numbers, thousands of them."""
    for bounds, counts in (
        ([1, 2], [1]),
        ([1], [1, 2, 3]),
        ([2, 1], [1, 1, 1]),
        ([1, 1], [1, 1, 1]),
        ([float("nan")], [1, 1]),
    ):
        request = sender.request_of_histogram(SECONDS, [], HONEST, [])
        point = request.resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0]
        point.explicit_bounds.extend(bounds)
        del point.bucket_counts[:]
        point.bucket_counts.extend(counts)
        sender.send(request)
    sender.send(sender.request_of_histogram("odd_seconds", [1], HONEST, [float(n) for n in range(100_000)]))


ATTACKS = [
    label_bomb, environment_bomb, name_bomb, level_bomb, giant_body, many_points, far_ahead, anothers_name, no_amounts,
    wrapped_counts, huge_amounts, other_kind, not_utf8, odd_times, twice_the_label, too_long, odd_buckets,
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.__name__ for attack in ATTACKS])
def test_honest_counts_are_exact(attack: Callable[[Sender], None], collector: Collector) -> None:
    """Whatever it sends, honest counts and buckets are exact, the page is valid and quick, the memory bounded."""
    with honest_fleet(collector):
        hostile = Sender(collector, "hostile")
        attack(hostile)
    assert collector.peak_memory() < MEMORY_MIB
    for port in ("TOTALS", "LEVELS", "METRICS"):
        begun = time.monotonic()
        page = httpx.get(collector.url(port), timeout=30)
        assert time.monotonic() - begun < SCRAPE_SECONDS
        page.raise_for_status()
        exposition.parse(page.content.decode())


def test_prometheus_takes_the_pages(collector: Collector) -> None:
    """After all that, a real Prometheus scrapes all three pages without an error."""
    pages = [f"127.0.0.1:{collector.ports[port]}" for port in ("TOTALS", "LEVELS", "METRICS")]
    with prometheus.running(pages) as seen:
        assert eventually(seen.scrapes_all, 30)


def test_names_stay_on_their_page(collector: Collector) -> None:
    """No sender can put a known total, or a part of one, among the levels and facts, nor one of these among the totals."""
    sender = Sender(collector, "hostile")
    sender.level(COUNTER, 7, HONEST)
    sender.fact(f"{SECONDS}_count", 7, HONEST)
    sender.counter("celery_queue_length", 7, {"queue": "high"})
    sender.counter("messages_sent_total", 1, {"user_plan": "free"})
    assert collector.settles_at("messages_sent_total", 1) == 1  # and so what came before it is shown
    now, totals = ({name for name, _ in collector.samples(page)} for page in ("LEVELS", "TOTALS"))
    assert not {COUNTER, f"{SECONDS}_count"} & now
    assert "celery_queue_length" not in totals


def test_nothing_is_lost_in_silence(collector: Collector) -> None:
    """What was folded and dropped is counted by metric and reason, also after all of it; the store is still the same."""
    assert collector.own("fleet_totals_folded_points_total", metric=COUNTER) > 100_000
    for reason in ("amount", "text", "kind", "name", "names", "overflow"):
        assert collector.own("fleet_totals_dropped_points_total", reason=reason) > 0, reason
    before = shown(collector)
    collector.kill()
    collector.start()
    assert eventually(lambda: shown(collector) == before)


def test_honest_newcomers_have_their_place(collector: Collector) -> None:
    """After all that, a new sender's series of a known metric that was not attacked are its own, not folded."""
    sender = Sender(collector, "newcomer", numbered="newcomer")
    for number in range(100):
        sender.counter("celery_tasks_submitted_total", 1, {"task_name": str(number), "queue": "q"})
    assert collector.settles_at("celery_tasks_submitted_total", 100) == 100
    assert len(collector.series("celery_tasks_submitted_total")) == 100
