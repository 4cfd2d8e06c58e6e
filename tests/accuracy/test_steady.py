"""Without any fault: many senders, many threads, mixed fleets, one exact series."""

from __future__ import annotations

import pytest

from support.exposition import labels
from support.waiting import eventually
from tests.accuracy.conftest import Scale
from tests.accuracy.measure import Check
from tests.accuracy.systems.base import System, WithCollector
from tests.support.beside import at_once
from tests.support.processes import finish
from tests.support.sender import CUMULATIVE, Sender

LABELS = {"method": "GET", "endpoint": "/x", "status_code": "200"}
FREE = labels(environment="dev", user_plan="free")
FAST_CLOCK = """
import time
_true = time.time_ns
time.time_ns = lambda: _true() + {seconds} * 10**9
"""


def test_steady_load(check: Check, system: System, scale: Scale) -> None:
    """3 senders, 4 recording threads each: every event of every thread is counted, bucket by bucket."""
    system.run(f"in_threads(4, {scale.events})", 3)
    check.events(12 * scale.events, per_record=scale.events)


def test_wrong_clocks(check: Check, system: System, scale: Scale) -> None:
    """Clocks an hour ahead, an hour behind and right: the senders' clocks do not matter."""
    code = f"record({scale.events})\nflush()\nrecord({scale.events})"
    senders = [system.start(code, first=FAST_CLOCK.format(seconds=seconds)) for seconds in (3600, -3600, 0)]
    for sender in senders:
        system.ends(sender)
    check.events(6 * scale.events, per_record=scale.events)


@pytest.mark.needs("deltas")
def test_twenty_senders(check: Check, system: WithCollector, scale: Scale) -> None:
    """20 concurrent senders of one series: single points, as fast as they can."""
    each = max(30, scale.events // 200)

    def send(number: int) -> None:
        sender = Sender(system.collector, f"s{number}")
        for _ in range(each):
            sender.counter("http_requests_total", 1, LABELS)
            sender.histogram("burst_seconds", [0.05, 0.5], {}, [0.1, 1.0])

    at_once(send, 20)
    check.exact("counter", 20 * each, system.settles_between(20 * each, 20 * each, "http_requests_total"))
    check.exact("histogram", 40 * each, system.settles_between(40 * each, 40 * each, "burst_seconds"))
    assert not system.is_ours or len(system.collector.series("http_requests_total")) == 1


@pytest.mark.needs("deltas")
def test_mixed_fleet(check: Check, system: WithCollector) -> None:
    """Two library versions, integers and floats, another unit, a cumulative sender: one series, one number type."""
    senders = [
        Sender(system.collector, "v1"),
        Sender(system.collector, "v2", scope_version="2"),
        Sender(system.collector, "unit", unit="{request}"),
    ]
    for number in range(30):
        for sender in senders:
            sender.counter("http_requests_total", 1, LABELS, as_int=number % 2 == 0)
    cumulative = Sender(system.collector, "go")
    for value in range(1, 31):
        cumulative.counter("http_requests_total", value, LABELS, temporality=CUMULATIVE, as_int=True)
    check.exact("counter", 120, system.settles_between(120, 120, "http_requests_total"))
    assert not system.is_ours or len(system.collector.series("http_requests_total")) == 1


@pytest.mark.needs("zeros")
def test_first_increment_is_seen(check: Check, system: System) -> None:
    """Zero series at the start: a series is there at 0 before its first event."""
    with system.started("sys.stdin.readline(); message(); sys.stdin.read()") as process:
        assert process.stdin is not None
        assert eventually(lambda: ("messages_sent_total", FREE) in system.samples())
        check.exact("before the event", 0, system.total("messages_sent_total", user_plan="free"))
        process.stdin.write("\n")
        process.stdin.flush()
        check.exact("after the event", 1, system.settles_between(1, 1, "messages_sent_total", user_plan="free"))
        finish(process)
