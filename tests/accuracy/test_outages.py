"""The collector is away, busy, silent or restarted: what arrives in the end, and what an exit costs meanwhile."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.accuracy.conftest import Check, Scale
from tests.accuracy.measure import SECONDS, check_events
from tests.accuracy.programs import RECORD
from tests.support.collector import Collector, Sender
from tests.support.flaky_proxy import FlakyProxy, Mode
from tests.support.otlp_sink import OtlpSink
from tests.support.ports import closed_url
from tests.support.processes import BEGIN, eventually, finish, line, run, start, started

# Records half before and half after a line from the test, and goes on meanwhile; the intervals are those of the tests.
HALVES = (
    RECORD + "\nrecord({events}); say('half'); sys.stdin.readline(); record({events}); say('whole'); sys.stdin.read()"
)


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_collector_comes_late(check: Check, scale: Scale) -> None:
    """Collector starts after its senders: what was recorded before is there."""
    collector = Collector()
    code = HALVES.format(events=scale.events)
    with started(code, collector.endpoint) as process:
        assert line(process) == "half"
        try:
            collector.start()
            _go_on(process)
            assert line(process) == "whole"
            check_events(check, collector, 2 * scale.events, per_record=scale.events)
        finally:
            collector.kill()
            process.kill()


@pytest.mark.parametrize("fault", ["connection refused", "503"])
def test_outage(check: Check, collector: Collector, proxy: FlakyProxy, scale: Scale, fault: str) -> None:
    """Collector away while its senders record: everything arrives once it is back."""
    senders = [start(HALVES.format(events=scale.events), proxy.endpoint) for _ in range(3)]
    assert [line(sender) for sender in senders] == ["half"] * 3
    collector.settles_at("messages_sent_total", 3 * scale.events)
    if fault == "503":
        proxy.mode = "503"
    else:
        proxy.close()
    for sender in senders:
        _go_on(sender)
    assert [line(sender) for sender in senders] == ["whole"] * 3
    time.sleep(scale.outage)  # the length of the outage is what is tested
    during = collector.total("messages_sent_total")
    proxy.mode = "pass"
    if fault != "503":
        proxy.open()
    assert all(finish(sender).status == 0 for sender in senders)
    check.within(
        f"counter during the outage ({fault})",
        3 * scale.events,
        during,
        3 * scale.events,
        6 * scale.events,
        "taken before it",
    )
    check_events(check, collector, 6 * scale.events, per_record=scale.events)


@pytest.mark.parametrize("mode", ["hang", "lose answers"])
def test_no_answer(check: Check, collector: Collector, proxy: FlakyProxy, scale: Scale, mode: Mode) -> None:
    """Answers do not come: nothing is lost; what one export without an answer carried may count twice."""
    with started(HALVES.format(events=scale.events), proxy.endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="1") as process:
        assert line(process) == "half"
        collector.settles_at("messages_sent_total", scale.events)
        proxy.mode = mode
        _go_on(process)
        assert line(process) == "whole"
        seen = proxy.requests
        assert eventually(lambda: proxy.requests > seen + 1)
        proxy.mode = "pass"
        finish(process)
    truth = 2 * scale.events
    most = truth + (scale.events if mode == "lose answers" else 0)
    bound = "one export got no answer; the collector had taken it"
    assert eventually(lambda: collector.total("messages_sent_total", user_plan="free") >= truth)
    time.sleep(1.0)  # what would come twice would come now
    counted = collector.total("messages_sent_total", user_plan="free")
    check.within(f"counter ({mode})", truth, counted, truth, most, bound)
    check.within(f"histogram ({mode})", truth, collector.total(SECONDS), truth, most, bound)
    reported = collector.settles_at("telemetry_unanswered_exports_total", 1)
    check.exact(f"unanswered exports by our own metric ({mode})", 1, reported)


def test_collector_is_killed_when_idle(check: Check, scale: Scale) -> None:
    """Collector killed and restarted after a scrape: what was scraped and what comes afterwards are the whole."""
    collector = Collector()
    try:
        collector.start()
        with started(HALVES.format(events=scale.events), collector.endpoint) as process:
            assert line(process) == "half"
            scraped = collector.settles_at("messages_sent_total", scale.events)
            collector.kill()
            _go_on(process)
            assert line(process) == "whole"
            time.sleep(0.5)  # an export fails meanwhile; a restart that none notices is made up for within 30 s
            collector.start()
            after = collector.settles_at("messages_sent_total", scale.events)
            check.exact("counter, both lives", 2 * scale.events, scraped + after)
            shown = [value for value in collector.series("messages_sent_total").values() if value == 0]
            check.exact("zero series known again", 2, len(shown))
            finish(process)
    finally:
        collector.kill()


def test_collector_is_killed_under_load(check: Check, scale: Scale) -> None:
    """Collector killed and restarted under load: lost is at most what it took since the last scrape."""
    collector = Collector()
    scraped, lives, at_kill, before_kill = 0.0, 0.0, 0.0, 0.0
    events = max(scale.events, 2_000)
    try:
        collector.start()
        with started(
            f"{RECORD}\nrecord({events}, 0.001); say('whole'); sys.stdin.read()", collector.endpoint
        ) as process:
            for life in range(2):
                for _ in range(6):
                    time.sleep(0.2)  # the scrape interval
                    before_kill, scraped = scraped, collector.total("messages_sent_total", user_plan="free")
                if life == 0:
                    time.sleep(0.1)  # half way to the next scrape
                    collector.kill()
                    lives, at_kill, scraped = scraped, max(scraped - before_kill, 1.0), 0.0
                    collector.start()
            assert line(process) == "whole"
            finish(process)
        counted = lives + collector.settles_at("messages_sent_total", events - lives, 3.0, user_plan="free")
        # `at_kill` is what arrived between two scrapes; exports and the collector's batches come in lumps.
        bound = "taken and not scraped; at most four scrape intervals of events are allowed"
        check.within("counter, both lives", events, counted, events - 4 * at_kill, events, bound)
    finally:
        collector.kill()


BOUNDS_BEFORE, BOUNDS_AFTER = [0.1, 1.0], [0.1, 0.5, 1.0]


def test_bounds_change_while_rolling(check: Check, collector: Collector, scale: Scale) -> None:
    """Bucket bounds changed by a rolling deploy: each change of writer starts the histogram anew, in any collector."""
    before, after = Sender(collector, "before"), Sender(collector, "after")
    for _ in range(50):
        before.histogram("changed_seconds", [0.3], {}, BOUNDS_BEFORE)
        after.histogram("changed_seconds", [0.3], {}, BOUNDS_AFTER)
    counted = collector.settles_at("changed_seconds", 100, 2.0)
    check.within("histogram", 100, counted, 0, 100, "not promised: bounds are part of the contract")


def test_bounds_change_by_the_procedure(check: Check, scale: Scale) -> None:
    """Bucket bounds changed by the procedure: senders of the old ones end, scrape, restart the collector, start the new ones."""
    collector = Collector()
    try:
        collector.start()
        before = Sender(collector, "before")
        for _ in range(50):
            before.histogram("changed_seconds", [0.3], {}, BOUNDS_BEFORE)
        scraped = collector.settles_at("changed_seconds", 50)
        collector.stop()
        collector.start()
        after = Sender(collector, "after")
        for _ in range(50):
            after.histogram("changed_seconds", [0.3], {}, BOUNDS_AFTER)
        check.exact("histogram, both lives", 100, scraped + collector.settles_at("changed_seconds", 50))
    finally:
        collector.kill()


@pytest.mark.parametrize("collector_is", ["up", "refused", "failing", "hanging"])
def test_exit_is_bounded(check: Check, collector_is: str) -> None:
    """Exit, seconds: one deadline of 5 s whatever the collector does, and no waiting where nobody listens."""
    sink = OtlpSink()
    sink.status = 503 if collector_is == "failing" else 200
    sink.hang_seconds = 30.0 if collector_is == "hanging" else 0.0
    endpoint = closed_url() if collector_is == "refused" else sink.url
    code = f"{RECORD}\nrecord(60); begun = time.monotonic(); telemetry.shutdown(); say(time.monotonic() - begun)"
    finished = run(code, endpoint, OTEL_METRIC_EXPORT_INTERVAL="60000", begin=BEGIN)
    sink.close()
    most = {"up": 1.0, "refused": 1.0}.get(collector_is, 5.2)
    check.within(f"collector {collector_is}", 0, float(finished.output), 0, most, f"at most {most:g} s")
    logged = float("messages_sent_total 60" in finished.errors)
    check.exact(f"loss logged with totals, collector {collector_is}", float(collector_is != "up"), logged)
