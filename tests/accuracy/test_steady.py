"""Without any fault: many senders, many threads, mixed fleets, one exact series."""

from __future__ import annotations

import threading

from tests.accuracy.conftest import Check, Scale
from tests.accuracy.measure import check_events
from tests.accuracy.programs import RECORD
from tests.support.collector import CUMULATIVE, Collector, Sender
from tests.support.exposition import labels
from tests.support.processes import BEGIN, eventually, finish, start, started

LABELS = {"method": "GET", "endpoint": "/x", "status_code": "200"}
FREE = labels(environment="dev", user_plan="free")
FAST_CLOCK = """
import time
_true = time.time_ns
time.time_ns = lambda: _true() + {seconds} * 10**9
"""


def test_steady_load(check: Check, collector: Collector, scale: Scale) -> None:
    """3 senders, 4 recording threads each: every event of every thread is counted, bucket by bucket."""
    code = f"{RECORD}\nrecord_in_threads(4, {scale.events})"
    senders = [start(code, collector.endpoint) for _ in range(3)]
    assert all(finish(sender, 240).status == 0 for sender in senders)
    check_events(check, collector, 12 * scale.events, per_record=scale.events)


def test_wrong_clocks(check: Check, collector: Collector, scale: Scale) -> None:
    """Clocks an hour ahead, an hour behind and right: arrival order replaces the senders' clocks."""
    code = f"{RECORD}\nrecord({scale.events})\nt.force_flush()\nrecord({scale.events})"
    clocks = (3600, -3600, 0)
    senders = [start(code, collector.endpoint, begin=FAST_CLOCK.format(seconds=s) + BEGIN) for s in clocks]
    assert all(finish(sender, 240).status == 0 for sender in senders)
    check_events(check, collector, 6 * scale.events, per_record=scale.events)


def test_twenty_senders(check: Check, collector: Collector, scale: Scale) -> None:
    """20 concurrent senders of one series: single points, as fast as they can."""
    each = max(30, scale.events // 200)

    def send(number: int) -> None:
        sender = Sender(collector, f"s{number}")
        for _ in range(each):
            sender.counter("http_requests_total", 1, LABELS)
            sender.histogram("burst_seconds", [0.05, 0.5], {}, [0.1, 1.0])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check.exact("counter", 20 * each, collector.settles_at("http_requests_total", 20 * each))
    check.exact("histogram", 40 * each, collector.settles_at("burst_seconds", 40 * each))
    check.exact("series", 1, len(collector.series("http_requests_total")))


def test_mixed_fleet(check: Check, collector: Collector) -> None:
    """Two library versions, integers and floats, another unit, a cumulative sender: one series, one number type."""
    senders = [
        Sender(collector, "v1"),
        Sender(collector, "v2", scope_version="2"),
        Sender(collector, "unit", unit="{request}"),
    ]
    for number in range(30):
        for sender in senders:
            sender.counter("http_requests_total", 1, LABELS, as_int=number % 2 == 0)
    cumulative = Sender(collector, "go")
    for value in range(1, 31):
        cumulative.counter("http_requests_total", value, LABELS, temporality=CUMULATIVE, as_int=True)
    check.exact("counter", 120, collector.settles_at("http_requests_total", 120))
    check.exact("series", 1, len(collector.series("http_requests_total")))


def test_first_increment_is_seen(check: Check, collector: Collector) -> None:
    """Zero series at the start: the collector shows the series at 0 before its first event."""
    with started("sys.stdin.readline(); message(); sys.stdin.read()", collector.endpoint) as process:
        assert process.stdin is not None
        assert eventually(lambda: FREE in collector.series("messages_sent_total"))
        check.exact("before the event", 0, collector.series("messages_sent_total")[FREE])
        process.stdin.write("\n")
        process.stdin.flush()
        check.exact("after the event", 1, collector.settles_at("messages_sent_total", 1, user_plan="free"))
        finish(process)
