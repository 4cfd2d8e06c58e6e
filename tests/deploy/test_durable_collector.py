"""`otel-collector.durable.yaml` in the real collector: killed at any moment, each export counts once and no value ever falls."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support import exposition
from support.collector import DURABLE, ROOT, Collector, find_otelcol, running
from support.waiting import eventually
from tests.support import prometheus
from tests.support.sender import CUMULATIVE, Sender

LABELS = {"method": "GET", "endpoint": "/x"}
MANY = 20_000


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A durable collector with an empty store."""
    with running(DURABLE) as made:
        yield made


def test_killed_under_load(fleetload: Path, tmp_path: Path) -> None:
    """SIGKILLs and lost answers under load, some senders cumulative: the truth, and no page with a lower value or a part."""
    command = [fleetload, "kill", "-otelcol", find_otelcol(), "-config", DURABLE, "-state", tmp_path, "-for", "10s"]
    command += ["-kill-every", "400ms", "-lose", "0.05", "-senders", "12", "-cumulative", "2", "-pause", "20ms"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    survived = json.loads(done.stdout)
    assert survived["counted"] == survived["truth"]
    assert [survived[what] for what in ("wrong_series", "values_that_fell", "series_that_vanished")] == [0, 0, 0]
    assert survived["kills"] >= 3
    assert survived["answers_lost"] > 0
    assert list(tmp_path.iterdir()) == []


def test_repeated_export_counts_once(collector: Collector) -> None:
    """An export that comes again, at once or after a restart, is acknowledged and not counted, and the repetition is told."""
    sender = Sender(collector, "a", numbered="a")
    exports = [sender.request_of_counter("repeated_total", 1, LABELS) for _ in range(3)]
    for export in (exports[0], exports[0], exports[1], exports[2], exports[1]):
        assert sender.send(export).status_code == httpx.codes.OK
    assert collector.own("fleet_totals_duplicate_exports_total") == 2
    collector.kill()
    collector.start()
    assert sender.send(exports[2]).status_code == httpx.codes.OK
    assert collector.settles_at("repeated_total", 3) == 3
    assert collector.own("fleet_totals_duplicate_exports_total") == 1


def test_what_never_came_is_told(collector: Collector) -> None:
    """A gap in a sender's numbers, a number that leaps, and a number that two senders use are each counted apart."""
    sender = Sender(collector, "a", numbered="a")
    exports = [sender.request_of_counter("gaps_total", number, LABELS) for number in range(1, 6)]
    sender.send(exports[0])
    sender.send(exports[4])
    assert collector.own("fleet_totals_missing_exports_total") == 3
    impostor = Sender(collector, "a", numbered="a")
    for _ in range(4):
        impostor.request_of_counter("gaps_total", 0, LABELS)
    impostor.counter("gaps_total", 100, LABELS)
    assert collector.own("fleet_totals_conflicts_total") == 1
    sender.sequence = 10**12
    sender.counter("gaps_total", 1000, LABELS)
    assert collector.own("fleet_totals_sequence_jumps_total") == 1
    assert collector.own("fleet_totals_missing_exports_total") == 3
    assert collector.settles_at("gaps_total", 1106) == 1106


def test_no_page_without_all_totals(collector: Collector) -> None:
    """After a kill a scrape gets 503 or everything, never a part, an empty page or a lower value."""
    sender = Sender(collector, "a", numbered="a")
    for part in range(20):
        request = sender.request_of_counter("many_total", 1, {"number": f"{part}-0"})
        metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
        for number in range(1, MANY // 20):
            point = metric.sum.data_points.add()
            point.CopyFrom(metric.sum.data_points[0])
            point.attributes[0].value.string_value = f"{part}-{number}"
        request.resource_metrics[0].scope_metrics[0].metrics[0].name = f"many_{part % 10}_total"
        assert sender.send(request).status_code == httpx.codes.OK
    collector_page = collector.url("TOTALS")
    before = eventually(lambda: _values(collector_page) or {}, wanted=lambda page: sum(page.values()) == MANY)
    assert sum(before.values()) == MANY
    assert len(before) >= 10_000
    for _ in range(3):
        collector.kill()
        collector.begin()
        seen = _pages_until_served(collector_page)
        assert seen[-1] == before
        assert all(page is None for page in seen[:-1])


def _values(url: str) -> exposition.Samples | None:
    answer = httpx.get(url, timeout=30)
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        assert "being restored" in answer.text
        return None
    answer.raise_for_status()
    return exposition.parse(answer.text)


def _pages_until_served(url: str) -> list[exposition.Samples | None]:
    seen: list[exposition.Samples | None] = []

    def served() -> bool:
        try:
            seen.append(_values(url))
        except httpx.TransportError:
            return False
        return seen[-1] is not None

    assert eventually(served)
    return seen


def test_prometheus_sees_every_increment(collector: Collector) -> None:
    """Killed again and again under load, as Prometheus sees it: the increments are the truth, the first ones too, no reset."""
    stop, counted = threading.Event(), []

    def send(name: str) -> None:
        sender, taken = Sender(collector, name, numbered=name), 0
        while not stop.is_set():
            export = sender.request_of_counter("seen_total", 1, LABELS)
            while not _is_taken(sender, export):
                stop.wait(0.02)
            taken += 1
        counted.append(taken)

    with prometheus.running([f"127.0.0.1:{collector.ports['TOTALS']}"]) as seen:
        Sender(collector, "declares").counter("other_total", 0, {})
        assert eventually(lambda: bool(seen.query("other_total")))
        senders = [threading.Thread(target=send, args=(f"s{number}",)) for number in range(4)]
        for sender in senders:
            sender.start()
        for _ in range(4):
            value = seen.increments("seen_total")
            assert eventually(lambda value=value: seen.increments("seen_total") > value)
            collector.kill()
            collector.start()
        stop.set()
        for sender in senders:
            sender.join()
        truth = sum(counted)
        assert eventually(lambda: seen.increments("seen_total") == truth), (seen.increments("seen_total"), truth)
        assert seen.query("resets(seen_total[1h])")[0]["value"][1] == "0"


def _is_taken(sender: Sender, export: object) -> bool:
    try:
        return sender.send(export).status_code == httpx.codes.OK  # type: ignore[arg-type]
    except httpx.TransportError:
        return False


def test_cumulative_sender_over_restarts(collector: Collector) -> None:
    """A sender of another language's SDK counts on over our restart and its own, also when it does not say that it restarted."""
    sender = Sender(collector, "go")
    for value in (3, 5):
        sender.counter("cumulative_total", value, LABELS, temporality=CUMULATIVE)
    collector.kill()
    collector.start()
    for value in (9, 2, 4):
        sender.counter("cumulative_total", value, LABELS, temporality=CUMULATIVE)
    assert collector.settles_at("cumulative_total", 13) == 13


def test_stop_hands_everything_on(collector: Collector) -> None:
    """A planned stop in the middle of exports answers them, and what was answered is there at the next start."""
    taken: list[int] = []
    sending = threading.Event()

    def send(name: str) -> None:
        sender = Sender(collector, name, numbered=name)
        while _is_taken(sender, sender.request_of_counter("stopped_total", 1, LABELS)):
            taken.append(1)
            sending.set()

    senders = [threading.Thread(target=send, args=(f"s{number}",)) for number in range(4)]
    for sender in senders:
        sender.start()
    assert sending.wait(20)
    collector.stop()
    for sender in senders:
        sender.join()
    collector.start()
    total = collector.total("stopped_total")
    assert len(taken) <= total <= len(taken) + len(senders)


def test_own_metrics_are_documented(collector: Collector) -> None:
    """Each own metric is in `collector/README.md`, and each name there is one that the collector shows."""
    Sender(collector, "a").counter("a_total", 1, LABELS)
    Sender(collector, "a").fact("fact", float("nan"), {"k": "v" * 5000})
    page = httpx.get(collector.url("METRICS")).text
    shown = set(re.findall(r"^# TYPE (fleet_\w+)", page, re.MULTILINE))
    documented = set(re.findall(r"^\| `(fleet_\w+)`", (ROOT / "collector" / "README.md").read_text(), re.MULTILINE))
    assert shown == documented
