"""Runs every scenario on every alternative and writes the rows: `python -m tests.accuracy.alternatives FILE`."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.accuracy.alternatives.systems import PrometheusClient, SdkAndDefaultCollector, System
from tests.accuracy.table import Row, Table
from tests.support import exposition
from tests.support.flaky_proxy import FlakyProxy
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import end, environment, eventually, finish, line, start
from tests.telemetry.celery.fleet import Broker

EVENTS, CHILDREN = 2_000, 100
SDK, CLIENT = SdkAndDefaultCollector.name, PrometheusClient.name
table = Table()


def _found(system: str, scenario: str, what: str, truth: float, counted: float) -> None:
    row = Row(scenario, what, truth, counted, truth, truth, system=system)
    table.rows.append(row)
    sys.stderr.write(f"{system} | {scenario} | {what} | {truth:g} | {counted:g} | {row.verdict}\n")


def _totals(system: System, scenario: str, truth: float) -> None:
    counter, histogram = system.settled(truth)
    _found(system.name, scenario, "counter", truth, counter)
    _found(system.name, scenario, "histogram", truth, histogram)


def _run(system: System, code: str, replicas: int = 1) -> int:
    """A program of a few replicas, to its end; how many of their children hung and had to be killed."""
    made = [start(code, "", begin=system.begin, **system.variables) for _ in range(replicas)]
    hung = 0
    for process in made:
        try:
            finish(process, 60)
        except subprocess.TimeoutExpired:
            hung += end(process)
    return hung


def steady(system: System) -> None:
    """3 senders, 4 recording threads each."""
    _run(system, f"record_in_threads(4, {EVENTS})", 3)
    _totals(system, "3 senders, 4 recording threads each", 12 * EVENTS)


def recycled(system: System) -> None:
    """Pools whose children are recycled after one task."""
    code = f"""
record(60)
pool = multiprocessing.get_context("fork").Pool(4, maxtasksperchild=1)
pool.map(record, [60] * {CHILDREN // 5}, chunksize=1)
pool.close(); pool.join()
record(60)
"""
    _run(system, code, 3)
    _totals(system, "Pools whose children are recycled after one task", 3 * 60 * (CHILDREN // 5 + 2))


def pending_at_fork(system: System) -> None:
    """Forks of a process that has counted already."""
    code = f"""
record({EVENTS}); flush()
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        record({EVENTS}); sys.exit(0)
    children.append(pid)
for pid in children: os.waitpid(pid, 0)
record({EVENTS})
"""
    _run(system, code)
    _totals(system, "Fork with counts that could not be delivered yet", 7 * EVENTS)


def fork_storm(system: System) -> None:
    """Forks while threads record and export."""
    code = f"""
threads = [threading.Thread(target=record, args=({EVENTS}, 0.001)) for _ in range(2)]
for thread in threads: thread.start()
children = []
for n in range({CHILDREN}):
    pid = os.fork()
    if pid == 0:
        record(6); sys.exit(0)
    children.append(pid)
    if n % 20 == 19:
        while children: os.waitpid(children.pop(), 0)
for pid in children: os.waitpid(pid, 0)
for thread in threads: thread.join()
"""
    hung = _run(system, code)
    _totals(system, "Fork storm while threads record and export", 2 * EVENTS + 6 * CHILDREN)
    _found(system.name, "Fork storm while threads record and export", "children that hang", 0, hung)


def killed(system: System) -> None:
    """A sender is killed."""
    code = """
n = 0
while True:
    for _ in range(20): event(n); n += 1
    say(n, time.monotonic()); time.sleep(0.005)
"""
    process = start(code, "", begin=system.begin, **system.variables)
    said = [line(process) for _ in range(200)]
    process.kill()
    assert process.stdout is not None
    said += process.stdout.read().splitlines()
    process.wait()
    reports = [(int(n), float(at)) for n, at in (row.split() for row in said)]
    truth, killed_at = reports[-1]
    least = max([n for n, at in reports if at < killed_at - 1.0], default=0)
    counter, _ = system.settled(truth, 3.0)
    bound = "recorded in its last second; it exports every 200 ms"
    table.rows.append(Row("Sender SIGKILLed", "counter", truth, counter, least, truth + 20, bound, system.name))


def _half(system: SdkAndDefaultCollector, endpoint: str) -> subprocess.Popen[str]:
    """A sender that has delivered half of what it will record."""
    code = f"record({EVENTS}); flush(); say('half'); sys.stdin.readline(); record({EVENTS}); say('whole'); sys.stdin.read()"
    process = start(code, "", begin=system.begin, **{**system.variables, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    assert line(process) == "half"
    system.settled(EVENTS)
    return process


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert line(process) == "whole"


def collector_away(system: SdkAndDefaultCollector) -> None:
    """The collector is stopped while a sender records."""
    process = _half(system, system.collector.endpoint)
    system.collector.stop()
    _go_on(process)
    time.sleep(1.5)  # exports fail meanwhile
    system.collector.start()
    _totals(system, "Collector away while its senders record", 2 * EVENTS)
    finish(process)


def collector_killed(system: SdkAndDefaultCollector) -> None:
    """The collector is killed and started again; cumulative senders bring their totals back."""
    process = _half(system, system.collector.endpoint)
    system.collector.kill()
    system.collector.start()
    _go_on(process)
    _totals(system, "Collector killed and restarted after a scrape", 2 * EVENTS)
    finish(process)


def no_answers(system: SdkAndDefaultCollector) -> None:
    """The collector takes an export and its answer is lost; a cumulative total that comes twice is the same total."""
    proxy = FlakyProxy(system.collector.endpoint)
    process = _half(system, proxy.endpoint)
    proxy.mode = "lose answers"
    _go_on(process)
    seen = proxy.requests
    eventually(lambda: proxy.requests > seen + 1)
    proxy.mode = "pass"
    _totals(system, "Answers do not come", 2 * EVENTS)
    finish(process)
    proxy.close()


def exit_times(system: SdkAndDefaultCollector) -> None:
    """What an exit takes when the collector hangs or fails."""
    for collector_is in ("failing", "hanging"):
        sink = OtlpSink()
        sink.status = 503 if collector_is == "failing" else 200
        sink.hang_seconds = 60.0 if collector_is == "hanging" else 0.0
        more = {**system.variables, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_METRIC_EXPORT_INTERVAL": "60000"}
        code = "record(60); begun = time.monotonic(); provider.shutdown(); say(time.monotonic() - begun)"
        finished = finish(start(code, "", begin=system.begin, **more), 120)
        row = Row("Exit, seconds", f"collector {collector_is}", 0, float(finished.output), 0, 5.2, "at most 5.2 s", SDK)
        table.rows.append(row)
        lost = float("60" in finished.errors)
        _found(SDK, "Exit, seconds", f"loss logged with totals, collector {collector_is}", 1, lost)
        sink.close()


@contextmanager
def _contrib_worker(system: SdkAndDefaultCollector, broker: Broker, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    application = "tests.accuracy.alternatives.contrib_tasks"
    command = [sys.executable, "-m", "celery", "-A", application, "worker", "-l", "warning", "-c", "2", *options]
    variables = environment("", BROKER=broker.url, **system.variables)
    with subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as worker:
        try:
            yield worker
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)


def celery(system: SdkAndDefaultCollector) -> None:
    """The contrib Celery instrumentor: its only metric is a histogram of run times, so its count is the tasks."""
    with tempfile.TemporaryDirectory() as directory:
        broker = Broker(Path(directory))
        for scenario, options, tasks in (
            ("Celery, steady load", (), {"succeed": 60, "fail": 20}),
            ("Celery, `max_tasks_per_child=1`", ("--max-tasks-per-child", "1"), {"succeed": 30}),
            ("Celery, child SIGKILLed or leaving in the middle of a task", (), {"killed": 4, "succeed": 20}),
            ("Celery, hard and soft time limits, handled or not.", (), {"hard_limit": 2, "succeed": 20}),
        ):
            system.collector.stop()
            system.collector.start()
            _contrib(system, broker, scenario, options, tasks)
        broker.stop()


def _contrib(
    system: SdkAndDefaultCollector, broker: Broker, scenario: str, options: tuple[str, ...], tasks: dict[str, int]
) -> None:
    truth = float(sum(tasks.values()))
    broker.client.flushall()
    publish = "import sys\nfrom tests.accuracy.alternatives import contrib_tasks\n" + "\n".join(
        f"for _ in range({n}): contrib_tasks.{name}.delay()" for name, n in tasks.items()
    )
    variables = environment("", BROKER=broker.url, **system.variables)
    with _contrib_worker(system, broker, *options):
        subprocess.run([sys.executable, "-c", publish], env=variables, check=True)
        eventually(lambda: len(broker.client.keys("celery-task-meta-*")) == truth, 60)
        eventually(lambda: _ran(system) == truth, 4)
    eventually(lambda: _ran(system) == truth, 4)
    _found(SDK, scenario, "durations", truth, _ran(system))


def _ran(system: SdkAndDefaultCollector) -> float:
    shown = exposition.scrape(system.collector.url("TOTALS"))
    return sum(value for (name, _), value in shown.items() if name.startswith("flower_") and name.endswith("_count"))


SCENARIOS: list[Callable[[System], None]] = [steady, recycled, pending_at_fork, fork_storm, killed]
COLLECTOR_SCENARIOS: list[Callable[[SdkAndDefaultCollector], None]] = [
    collector_away,
    collector_killed,
    no_answers,
    exit_times,
    celery,
]


def main(path: Path) -> None:
    """Measure, print, write."""
    for scenario in SCENARIOS:
        for make in (SdkAndDefaultCollector, PrometheusClient):
            system: System = make()
            scenario(system)
            if isinstance(system, PrometheusClient):
                _note_files(system, scenario)
            system.close()
    for of_collector in COLLECTOR_SCENARIOS:
        made = SdkAndDefaultCollector()
        of_collector(made)
        made.close()
    table.write(path)


def _note_files(system: PrometheusClient, scenario: Callable[[System], None]) -> None:
    if scenario is recycled:
        row = Row(
            "Pools whose children are recycled after one task", "files each scrape reads", 0, system.files(), 0, 1e9
        )
        table.rows.append(Row(**{**row.__dict__, "system": CLIENT, "bound": "two for each process that ever was"}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
