"""The collector is late, away, busy or silent, and bounds change: what arrives in the end, and what an exit costs meanwhile."""

from __future__ import annotations

import subprocess
import time

import pytest

from support.waiting import eventually
from tests.accuracy.conftest import Scale
from tests.accuracy.measure import Bound, Check, Watch, bucket_counts
from tests.accuracy.programs import COUNTER, HISTOGRAM, OWN
from tests.accuracy.systems.base import WithCollector
from tests.support.flaky_proxy import Mode
from tests.support.processes import finish, line

pytestmark = pytest.mark.needs("collector")
# Records half before and half after a line from the test, and goes on meanwhile.
HALVES = "record({0}); say('half'); sys.stdin.readline(); record({0}); say('whole'); sys.stdin.read()"


def test_collector_comes_late(check: Check, system: WithCollector, scale: Scale) -> None:
    """Collector starts after its senders: what was recorded before is there."""
    system.collector.kill()
    with system.started(HALVES.format(scale.events)) as process:
        assert line(process) == "half"
        system.collector.start()
        _go_on(process)
        assert line(process) == "whole"
        check.events(2 * scale.events, per_record=scale.events)


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("fault", ["connection refused", "503"])
def test_outage(check: Check, system: WithCollector, scale: Scale, fault: str) -> None:
    """Collector away while its senders record: everything arrives once it is back."""
    proxy = system.behind_a_proxy()
    senders = [system.start(HALVES.format(scale.events)) for _ in range(3)]
    assert [line(sender) for sender in senders] == ["half"] * 3
    system.settles_between(3 * scale.events, 3 * scale.events)
    if fault == "503":
        proxy.mode = "503"
    else:
        proxy.close()
    for sender in senders:
        _go_on(sender)
    assert [line(sender) for sender in senders] == ["whole"] * 3
    time.sleep(scale.seconds)  # the length of the outage is what is tested
    proxy.mode = "pass"
    if fault != "503":
        proxy.open()
    for sender in senders:
        system.ends(sender)
    check.events(6 * scale.events, per_record=scale.events, name=f" ({fault})")


@pytest.mark.parametrize("mode", ["hang", "lose answers"])
def test_no_answer(check: Check, system: WithCollector, scale: Scale, mode: Mode) -> None:
    """Answers do not come: nothing is lost, and what comes again counts once."""
    proxy = system.behind_a_proxy()
    with system.started(HALVES.format(scale.events), OTEL_EXPORTER_OTLP_TIMEOUT="1") as process:
        assert line(process) == "half"
        assert eventually(lambda: system.total(COUNTER) == scale.events)
        proxy.mode = mode
        _go_on(process)
        assert line(process) == "whole"
        seen = proxy.requests
        assert eventually(lambda: proxy.requests > seen + 1)
        proxy.mode = "pass"
        system.ends(process)
    truth = 2 * scale.events
    bound = Bound("an export whose answer was lost counts twice", doubled=scale.events if mode == "lose answers" else 0)
    for what, metric in (("counter", COUNTER), ("histogram", HISTOGRAM)):
        check.exact(f"{what} ({mode})", truth, system.stands_between(truth, truth, metric), bound)
    if system.is_ours:
        told = system.settles_between(1, 1, "telemetry_unanswered_exports_total")
        check.exact(f"unanswered exports by our own metric ({mode})", 1, told)


ROLLING = "observe = own_histogram({bounds}); say('begun'); sys.stdin.readline()\nfor _ in range({times}): observe(0.3); flush()\n"
BEFORE, AFTER, TIMES = [0.1, 1.0], [0.1, 0.5, 1.0], 25


def test_bounds_change_while_rolling(check: Check, system: WithCollector) -> None:
    """Bucket bounds changed by a rolling deploy: both releases export in turn, and all of it is in one histogram."""
    senders = [system.start(ROLLING.format(bounds=bounds, times=TIMES)) for bounds in (BEFORE, AFTER)]
    assert [line(sender) for sender in senders] == ["begun", "begun"]
    for sender in senders:
        _go_on(sender)
    for sender in senders:
        system.ends(sender)
    truth = 2 * TIMES
    bound = Bound("each change of writer begins the histogram anew: bounds are part of its contract", lost=truth)
    check.exact("histogram", truth, system.settles_between(truth, truth, OWN), bound)
    check.exact("of these, below 1 s", truth, bucket_counts(system, OWN).get("1", 0), bound)


def test_bounds_change_by_the_procedure(check: Check, system: WithCollector) -> None:
    """Bucket bounds changed by the procedure: senders of the old ones end, scrape, restart the collector, start the new ones."""
    watch, truth = Watch(system, OWN), 0
    # The new ones do less: a collector that begins anew and had its old total again would hide that.
    for bounds, times in ((BEFORE, TIMES), (AFTER, TIMES // 2)):
        with system.started(ROLLING.format(bounds=bounds, times=times)) as sender:
            assert line(sender) == "begun"
            finish(sender)
        truth += times
        eventually(lambda truth=truth: watch.look() == truth, system.patience)
        system.restart()
    check.exact("increments scrapes see", truth, watch.look())


@pytest.mark.parametrize("collector_is", ["up", "refused", "failing", "hanging"])
@pytest.mark.costly
def test_exit_is_bounded(check: Check, system: WithCollector, scale: Scale, collector_is: str) -> None:
    """Exit: at most 5 s whatever the collector does, at once where nobody listens; what was not delivered arrives later."""
    proxy = system.behind_a_proxy()
    proxy.mode = {"failing": "503", "hanging": "hang"}.get(collector_is, "pass")  # type: ignore[assignment]
    if collector_is == "refused":
        proxy.close()
    code = "record(60); begun = time.monotonic(); shutdown(); say(time.monotonic() - begun)"
    finished = finish(system.start(code, OTEL_METRIC_EXPORT_INTERVAL="60000"))
    beside = 0.0 if scale.name == "full" else 1.5  # the full one has the machine for itself
    most = {"up": 1.0, "refused": 1.0}.get(collector_is, 5.2) + beside
    check.limit(f"seconds, collector {collector_is}", float(finished.output), most)
    if collector_is != "up":
        told = float("messages_sent_total 60" in finished.errors)
        check.exact(f"what waits is logged with totals, collector {collector_is}", 1, told)
    proxy.close()
    proxy.mode = "pass"
    proxy.open()
    system.deliver()
    check.exact(f"counter later, collector {collector_is}", 60, system.settles_between(60, 60))
