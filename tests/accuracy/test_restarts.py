"""Planned restarts of collectors under load, as Prometheus sees them; the scripts are those of `deploy`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from deploy.collector_restart import Scrapes, restart_after_scrape, restart_drained
from deploy.otlp_gateway.gateway import Gateway
from deploy.processes import program
from tests.accuracy.conftest import Check, Scale
from tests.accuracy.programs import RECORD
from tests.support import prometheus
from tests.support.collector import Collector
from tests.support.collector import running as collector_running
from tests.support.ports import free_port
from tests.support.processes import eventually, finish, line, start, started
from tests.support.prometheus import Prometheus

COUNTER = 'messages_sent_total{user_plan="free"}'
SENDERS = 3
# Records without a pause worth mentioning until a line comes, says how much that was, and stays.
UNTIL_TOLD = (
    RECORD
    + """
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
say("begun"); n = 0
while not told.is_set():
    for _ in range(10): event(n); n += 1
    time.sleep(0.01)
t.force_flush(); say(n); sys.stdin.read()
"""
)


def _totals(collector: Collector) -> str:
    return f"127.0.0.1:{collector.ports['TOTALS']}"


def _told_to_stop(processes: list[subprocess.Popen[str]]) -> int:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(int(line(process)) for process in processes)


def _restart(collector: Collector) -> None:
    collector.stop()
    collector.start()


@contextmanager
def _gateway(directory: Path, collectors: dict[str, Collector]) -> Iterator[tuple[Gateway, str]]:
    gateway = Gateway(directory, program(Path("nginx")))
    listen = f"127.0.0.1:{free_port()}"
    gateway.configure(listen, {name: c.endpoint.removeprefix("http://") for name, c in collectors.items()})
    with subprocess.Popen(gateway.command, stderr=subprocess.DEVNULL) as process:
        try:
            yield gateway, f"http://{listen}"
        finally:
            process.terminate()


def _begun(endpoint: str) -> list[subprocess.Popen[str]]:
    senders = [start(UNTIL_TOLD, endpoint) for _ in range(SENDERS)]
    assert [line(sender) for sender in senders] == ["begun"] * SENDERS
    return senders


def test_first_increment_counts(check: Check, collector: Collector, scale: Scale) -> None:
    """First events of a label value nobody knew, in Prometheus 3: they count from zero, like any others."""
    code = RECORD + "\nt.force_flush(); sys.stdin.readline(); record(7, endpoint='/new'); say('done'); sys.stdin.read()"
    with prometheus.running([_totals(collector)]) as seen, started(code, collector.endpoint) as process:
        selector = 'http_requests_total{endpoint="/new"}'
        assert eventually(lambda: bool(seen.query("messages_sent_total")))
        assert not seen.query(selector)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert line(process) == "done"
        eventually(lambda: seen.increments(selector) == 7)
        check.exact("increments Prometheus sees", 7, seen.increments(selector))
        finish(process)


def test_restart_after_a_scrape(check: Check, scale: Scale) -> None:
    """Planned restart of the only collector under load: lost is at most what it took after the scrape it waits for."""
    with ExitStack() as stack:
        collector = stack.enter_context(collector_running())
        seen = stack.enter_context(prometheus.running([_totals(collector)]))
        senders = _begun(collector.endpoint)
        assert eventually(lambda: seen.increments(COUNTER) > 0)
        scrapes = Scrapes(seen.url, collector.url("TOTALS"))
        for _ in range(2):
            restart_after_scrape(scrapes, lambda: _restart(collector))
        truth = _told_to_stop(senders)
        eventually(lambda: seen.increments(COUNTER) == truth, 5)
        # Each sender exports every 200 ms what it recorded since; a batch waits 200 ms before a scrape can see it.
        most_lost = 2 * SENDERS * 3 * 0.2 * 1000
        bound = "taken after the scrape; three export intervals at each restart are allowed"
        check.within("increments Prometheus sees", truth, seen.increments(COUNTER), truth - most_lost, truth, bound)
        for sender in senders:
            finish(sender)


@pytest.mark.parametrize("names", ["a", "ab"], ids=["one", "two"])
def test_restart_behind_the_gateway(check: Check, scale: Scale, tmp_path: Path, names: str) -> None:
    """Planned restart of every collector behind one address, in turn, under load: nothing is lost."""
    with ExitStack() as stack:
        collectors = {name: stack.enter_context(collector_running()) for name in names}
        seen = stack.enter_context(prometheus.running([_totals(c) for c in collectors.values()]))
        gateway, address = stack.enter_context(_gateway(tmp_path, collectors))
        senders = _begun(address)
        assert eventually(lambda: seen.increments(COUNTER) > 0)
        for name, collector in collectors.items():
            _restart_drained(gateway, name, collector, seen)
        truth = _told_to_stop(senders)
        eventually(lambda: seen.increments(COUNTER) == truth, 10)
        check.exact(f"increments Prometheus sees, {len(names)} collectors", truth, seen.increments(COUNTER))
        for sender in senders:
            finish(sender)


def _restart_drained(gateway: Gateway, name: str, collector: Collector, seen: Prometheus) -> None:
    scrapes = Scrapes(seen.url, collector.url("TOTALS"))
    restart_drained(gateway, name, scrapes, lambda: _restart(collector))
