"""Collectors and senders are killed and restarted under load, as a real Prometheus sees it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from collector.gateway.gateway import Gateway
from collector.gateway.restart import Scrapes, restart_after_scrape, restart_drained
from support.collector import Collector
from support.collector import running as collector_running
from support.ports import free_port
from support.processes import program
from support.waiting import eventually
from tests.accuracy import senders
from tests.accuracy.conftest import Scale
from tests.accuracy.measure import Bound, Check
from tests.accuracy.programs import Notes
from tests.accuracy.systems.base import WithCollector
from tests.accuracy.test_kills import LIFE, TWICE, UNSEEN
from tests.support import prometheus
from tests.support.processes import finish, line
from tests.support.prometheus import Prometheus

pytestmark = pytest.mark.needs("collector")
SCRAPE = 0.25  # seconds; a scrape is what most of this waits for
COUNTER = 'messages_sent_total{user_plan="free"}'
ANCHORED = f"sum(increase({COUNTER}[1h] anchored))"


@pytest.mark.costly
def test_first_increment_counts(check: Check, system: WithCollector) -> None:
    """First events of a label value nobody knew, in Prometheus 3: they count from zero, like any others."""
    code = "message(); flush(); sys.stdin.readline(); record(7, endpoint='/new'); say('done'); sys.stdin.read()"
    with prometheus.running([system.page], SCRAPE) as seen, system.started(code) as process:
        selector = 'http_request_duration_seconds_count{endpoint="/new"}'
        assert eventually(lambda: bool(seen.query("messages_sent_total")))
        assert not seen.query(selector)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert line(process) == "done"
        eventually(lambda: seen.increments(selector) == 7, system.patience)
        check.exact("increments Prometheus sees", 7, seen.increments(selector))
        finish(process)


@pytest.mark.costly
def test_kills_as_prometheus_sees_them(check: Check, system: WithCollector, scale: Scale, notes: Notes) -> None:
    """Senders and collector SIGKILLed in turn under load: over each kill, the increase in Prometheus is the truth."""
    unseen = error = 0.0
    wrong = 0
    with prometheus.running([system.page], SCRAPE) as seen, senders.started(system, notes) as recording:
        for number in range(2 * scale.kills):
            before = notes.done
            recording.go()
            assert eventually(lambda before=before: notes.done > before + LIFE * (1 + 3 * system.is_bounded))
            if number % 2:
                recording.kill_one()
            else:
                unseen += notes.begun - (seen.increments(COUNTER) - error)
                system.collector.kill()
                system.collector.start()
            recording.stand_still()
            system.deliver()
            if not eventually(lambda error=error: _is_seen(seen, notes, error), system.patience):
                wrong, error = wrong + 1, seen.increments(COUNTER) - notes.done
            recording.grow(number % 2)
        bound = Bound(f"{UNSEEN}; {TWICE}", lost=unseen, doubled=notes.done)
        check.between("increments Prometheus sees", notes.done, notes.begun, seen.increments(COUNTER), bound)
        check.exact("kills over which the increase differs", 0, wrong, Bound(bound.why, doubled=2 * scale.kills))
        if not system.is_bounded:
            anchored = round(sum(float(series["value"][1]) for series in seen.query(ANCHORED)), 6)
            check.between("`increase(… anchored)` over all", notes.done, notes.begun, anchored)


def _is_seen(seen: Prometheus, notes: Notes, error: float) -> bool:
    """Whether Prometheus has seen everything, but for what it saw wrong at earlier kills."""
    return notes.done <= seen.increments(COUNTER) - error <= notes.begun


@pytest.mark.costly
def test_planned_restart(check: Check, system: WithCollector, scale: Scale, notes: Notes) -> None:
    """Planned restart of the only collector under load: as its configuration asks for it, nothing is lost."""
    unseen = 0.0
    with prometheus.running([system.page], SCRAPE) as seen, senders.started(system, notes) as recording:
        recording.go()
        assert eventually(lambda: seen.increments(COUNTER) > 1000)
        for _ in range(scale.kills):
            if system.is_bounded:
                restart_after_scrape(Scrapes(seen.url, f"http://{system.page}/metrics"), system.collector.stop)
                unseen += notes.begun - seen.increments(COUNTER)
                system.collector.start()
            else:
                system.restart()
        recording.stand_still()
        eventually(lambda: notes.done == seen.increments(COUNTER), system.patience)
        bound = Bound("what was taken after the scrape that the restart waits for", lost=unseen)
        check.exact("increments Prometheus sees", notes.done, seen.increments(COUNTER), bound)


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


@pytest.mark.parametrize("names", ["a", "ab"], ids=["one", "two"])
def test_restart_behind_the_gateway(check: Check, system: WithCollector, notes: Notes, names: str) -> None:
    """Planned restart of every collector behind one address, in turn, under load: nothing is lost."""
    with ExitStack() as stack:
        collectors = {"a": system.collector, "b": stack.enter_context(collector_running(system.config))}
        collectors = {name: collectors[name] for name in names}
        pages = [f"127.0.0.1:{collector.ports['TOTALS']}" for collector in collectors.values()]
        seen = stack.enter_context(prometheus.running(pages, SCRAPE))
        gateway, system.gateway = stack.enter_context(_gateway(system.directory / "gateway", collectors))
        recording = stack.enter_context(senders.started(system, notes))
        recording.go()
        assert eventually(lambda: seen.increments(COUNTER) > 0)
        for name, collector in collectors.items():
            if system.is_bounded:
                scrapes = Scrapes(seen.url, collector.url("TOTALS"))
                restart_drained(gateway, name, scrapes, lambda collector=collector: _restart(collector))
            else:
                _restart(collector)
        recording.stand_still()
        eventually(lambda: seen.increments(COUNTER) == notes.done, system.patience)
        count = f"{len(names)} collector" + "s" * (len(names) > 1)
        check.exact(f"increments Prometheus sees, {count}", notes.done, seen.increments(COUNTER))


def _restart(collector: Collector) -> None:
    collector.stop()
    collector.start()
