"""Processes fork, end and are recycled: each count once."""

from __future__ import annotations

from support.waiting import eventually
from tests.accuracy.conftest import Scale
from tests.accuracy.measure import Bound, Check
from tests.accuracy.programs import COUNTER, HISTOGRAM
from tests.accuracy.systems.base import System, WithCollector
from tests.support.processes import line

LONG = {"OTEL_METRIC_EXPORT_INTERVAL": "60000"}
SLOW_EXIT = {"TELEMETRY_EXIT_DEADLINE": "30"}


def test_recycled_children(check: Check, system: System, scale: Scale) -> None:
    """Pools whose children are recycled after one task: 3 parents, 4 children at a time, each event once."""
    tasks = max(8, scale.children // 5)
    code = f"""
record(60)
pool = multiprocessing.get_context("fork").Pool(4, maxtasksperchild=1)
pool.map(record, [60] * {tasks}, chunksize=1)
pool.close(); pool.join()
record(60)
"""
    system.run(code, 3, **LONG, **SLOW_EXIT)
    check.events(3 * 60 * (tasks + 2), per_record=60)


def test_counts_pending_at_the_fork(check: Check, system: System, scale: Scale) -> None:
    """Fork with counts that could not be delivered yet: parent and children deliver their own, once."""
    code = f"""
record({scale.events}); flush()
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        record({scale.events}); sys.exit(0)
    children.append(pid)
say("forked")
wait_for_all(children)
record({scale.events})
"""
    proxy = system.behind_a_proxy() if isinstance(system, WithCollector) else None
    if proxy:
        proxy.mode = "503"
    with system.started(code, **SLOW_EXIT) as process:
        assert line(process) == "forked"
        if proxy:
            seen = proxy.requests
            assert eventually(lambda: proxy.requests > seen + 3)
            proxy.mode = "pass"
        system.ends(process)
    check.events(7 * scale.events, per_record=scale.events)


def test_fork_storm(check: Check, system: System, scale: Scale) -> None:
    """Fork storm while threads record and export: every child's and every thread's events, once."""
    code = f"""
threads = [threading.Thread(target=record, args=({scale.events}, 0.001)) for _ in range(2)]
for thread in threads: thread.start()
children = []
for n in range({scale.children}):
    pid = os.fork()
    if pid == 0:
        record(6); sys.exit(0)
    children.append(pid)
    if n % 20 == 19: wait_for_all(children)
wait_for_all(children)
for thread in threads: thread.join()
"""
    hung = system.run(code, **SLOW_EXIT)
    truth = 2 * scale.events + 6 * scale.children
    bound = Bound("a child that ends while the answer to its export takes over a second", doubled=6 * scale.children)
    check.exact("counter", truth, system.settles_between(truth, truth, COUNTER), bound)
    check.exact("histogram", truth, system.settles_between(truth, truth, HISTOGRAM), bound)
    check.exact("processes that hang", 0, hung)


def test_normal_ends(check: Check, system: System) -> None:
    """Children that end normally: os.fork, multiprocessing, spawn, SIGTERM handled, nothing waits for the interval."""
    code = """
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
    system.run(code, **LONG)
    check.events(24, per_record=6)
