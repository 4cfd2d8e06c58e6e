"""Processes fork, end, are recycled and killed: each count once."""

from __future__ import annotations

import signal

from tests.accuracy.conftest import Check, Scale
from tests.accuracy.measure import check_events
from tests.accuracy.programs import RECORD
from tests.support.collector import Collector
from tests.support.flaky_proxy import FlakyProxy
from tests.support.processes import eventually, finish, line, run, start, started

LONG = {"OTEL_METRIC_EXPORT_INTERVAL": "60000"}
SLOW_EXIT = {**LONG, "TELEMETRY_EXIT_DEADLINE": "30"}


def test_recycled_children(check: Check, collector: Collector, scale: Scale) -> None:
    """Pools whose children are recycled after one task: 3 parents, 4 children at a time, each event once."""
    tasks = max(8, scale.children // 5)
    code = f"""{RECORD}
record(60)
pool = multiprocessing.get_context("fork").Pool(4, maxtasksperchild=1)
pool.map(record, [60] * {tasks}, chunksize=1)
pool.close(); pool.join()
record(60)
"""
    parents = [start(code, collector.endpoint, **SLOW_EXIT) for _ in range(3)]
    assert all(finish(parent, 240).status == 0 for parent in parents)
    check_events(check, collector, 3 * 60 * (tasks + 2), per_record=60)


def test_counts_pending_at_the_fork(check: Check, collector: Collector, proxy: FlakyProxy, scale: Scale) -> None:
    """Fork with counts that could not be delivered yet: parent and children deliver their own, once."""
    code = f"""{RECORD}
record({scale.events}); t.force_flush()
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        record({scale.events}); sys.exit(0)
    children.append(pid)
say("forked")
for pid in children: os.waitpid(pid, 0)
record({scale.events})
"""
    proxy.mode = "503"
    with started(code, proxy.endpoint, TELEMETRY_EXIT_DEADLINE="30") as process:
        assert line(process) == "forked"
        seen = proxy.requests
        assert eventually(lambda: proxy.requests > seen + 3)
        proxy.mode = "pass"
        assert finish(process, 240).status == 0
    check_events(check, collector, 7 * scale.events, per_record=scale.events)


def test_fork_storm(check: Check, collector: Collector, scale: Scale) -> None:
    """Fork storm while threads record and export: every child's and every thread's events, once."""
    code = f"""{RECORD}
threads = [threading.Thread(target=record, args=({scale.events}, 0.001)) for _ in range(2)]
for thread in threads: thread.start()
children = []
for n in range({scale.children}):
    pid = os.fork()
    if pid == 0:
        record(6); sys.exit(0)
    children.append(pid)
    if n % 20 == 19:
        while children: assert os.waitpid(children.pop(), 0)[1] == 0
for pid in children: assert os.waitpid(pid, 0)[1] == 0
for thread in threads: thread.join()
"""
    run(code, collector.endpoint, seconds=280, TELEMETRY_EXIT_DEADLINE="30")
    truth = 2 * scale.events + 6 * scale.children
    check.exact("counter", truth, collector.settles_at("messages_sent_total", truth, user_plan="free"))
    check.exact("histogram", truth, collector.settles_at("http_request_duration_seconds", truth))
    check.exact("points dropped inside the collector", 0, collector.dropped_points())


def test_killed_sender(check: Check, collector: Collector, scale: Scale) -> None:
    """Sender SIGKILLed: lost is what it recorded after its last export, here at most its last second."""
    # Says every 20 events how many there are; an export interval is 200 ms.
    code = f"""{RECORD}
n = 0
while True:
    for _ in range(20): event(n); n += 1
    say(n, time.monotonic()); time.sleep(0.005)
"""
    with started(code, collector.endpoint) as process:
        said = [line(process) for _ in range(min(1_000, scale.events // 2))]
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        said += process.stdout.read().splitlines()
        process.wait()
    reports = [(int(n), float(at)) for n, at in (row.split() for row in said if len(row.split()) == 2)]
    truth, killed_at = reports[-1]
    # An export interval is 200 ms; a second leaves room for the collection and the request on a busy machine.
    least = max([n for n, at in reports if at < killed_at - 1.0], default=0)
    collector.settles_at("messages_sent_total", truth, 2.0)
    counted = collector.total("messages_sent_total", user_plan="free")
    check.within("counter", truth, counted, least, truth + 20, "recorded in its last second; it exports every 200 ms")


def test_normal_ends(check: Check, collector: Collector) -> None:
    """Children that end normally: os.fork, multiprocessing, spawn, SIGTERM handled, nothing waits for the interval."""
    code = f"""{RECORD}
def as_process(method):
    p = multiprocessing.get_context(method).Process(target=record, args=(6,)); p.start(); p.join()
as_process("fork")
pid = os.fork()
if pid == 0: record(6); sys.exit(0)
os.waitpid(pid, 0)
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
    record(6); os.kill(os.getpid(), signal.SIGTERM); time.sleep(20)
os.waitpid(pid, 0)
record(6)
"""
    run(code, collector.endpoint, **LONG)
    check_events(check, collector, 24, per_record=6)
