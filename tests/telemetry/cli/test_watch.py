"""`fleet-telemetry watch`: the numbers it shows, from where they are read, and how it is left."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from support.collector import Collector
from support.ports import closed_url
from support.waiting import eventually
from telemetry.cli import watch
from telemetry.cli.collector_address import pages_of
from telemetry.cli.main import main
from telemetry.cli.page import parse
from telemetry.cli.prometheus_api import Prometheus as Api
from telemetry.cli.watch.increments import Increments, quantile
from telemetry.cli.watch.moment import Alert, Moment
from telemetry.cli.watch.sources import CollectorSource, PrometheusSource
from telemetry.cli.watch.view import picture
from tests.support.prometheus import Prometheus
from tests.telemetry.cli.conftest import Pages

ROOT = Path(__file__).parents[3]
_REQUESTS = 'http_requests_total{{method="GET",endpoint="/",status_code="{status}",environment="dev"}} {count}\n'


def _rate_of(*reads: str) -> dict[str, float]:
    """Rates by name and status, of reads ten seconds apart."""
    increments = Increments()
    for number, text in enumerate(reads):
        increments.add(parse(text), 10.0 * number)
    return {sample.labels.get("status_code", sample.name): sample.value for sample in increments.rates()}


def test_rates_come_from_differences() -> None:
    """A total counts what it gained since the first read; a series that appears later began at 0."""
    first = _REQUESTS.format(status=200, count=100)
    second = _REQUESTS.format(status=200, count=130) + _REQUESTS.format(status=500, count=5)
    assert _rate_of(first) == {}
    assert _rate_of(first, second) == {"200": 3.0, "500": 0.5}


def test_total_that_fell_began_anew() -> None:
    """After a restart that lost the totals, what is there now was counted since."""
    reads = [_REQUESTS.format(status=200, count=count) for count in (100, 110, 4)]
    assert _rate_of(*reads) == {"200": pytest.approx(14 / 20)}


def test_window_forgets_what_is_old() -> None:
    """Rates are of the last minute, however long it is watched."""
    increments = Increments(window=20.0)
    for number, count in enumerate((0, 1000, 1010, 1020, 1030)):
        increments.add(parse(_REQUESTS.format(status=200, count=count)), 10.0 * number)
    assert [sample.value for sample in increments.rates()] == [1.0]


def test_quantile_is_that_of_promql() -> None:
    """Values spread evenly within their bucket; beyond the last finite bound that bound is shown; nothing is nothing."""
    assert quantile(0.5, {0.1: 0, 0.2: 100, float("inf"): 100}) == pytest.approx(0.15)
    assert quantile(0.95, {0.1: 10, float("inf"): 100}) == 0.1
    assert quantile(0.95, {0.1: 0, float("inf"): 0}) is None
    assert quantile(0.95, {}) is None


def _collected(pages: Pages, *more: tuple[str, str]) -> Moment:
    """The second of two reads ten seconds apart; ``more`` is added before it, to ``totals`` or ``levels``."""
    clock = iter((0.0, 10.0))
    source = CollectorSource(pages_of("127.0.0.1", os.environ), lambda sample: True, lambda: next(clock))
    source.read()
    for page, text in more:
        peer = getattr(pages, page)
        peer.says(peer.answers["/"][1] + text)
    return source.read()


def test_collector_gives_rates_and_levels(pages: Pages) -> None:
    """Rates, shares of errors, queues, workers, tasks and costs come from the pages of a collector alone."""
    task = 'task_name="t",queue="q",environment="dev"'
    model = 'provider="openai",model="gpt",environment="dev"'
    moment = _collected(
        pages,
        ("totals", _REQUESTS.format(status=204, count=30) + _REQUESTS.format(status=503, count=10)),
        ("totals", f"celery_tasks_submitted_total{{{task}}} 20\ncelery_tasks_failed_total{{{task}}} 5\n"),
        ("totals", f'llm_tokens_used_total{{type="prompt",{model}}} 100\nllm_cost_usd_total{{{model}}} 0.1\n'),
        ("levels", 'celery_queue_length{queue="q",environment="dev"} 7\ncelery_queue_oldest_seconds{queue="q"} 3\n'),
        ("levels", 'celery_active_workers{hostname="w",environment="dev"} 1\ncelery_active_workers{hostname="v"} 0\n'),
        ("levels", 'celery_worker_tasks{hostname="w",state="active"} 2\ncelery_worker_pool_size{hostname="w"} 4\n'),
    )
    assert moment.seconds == 10.0
    assert [(route.name, route.rate, route.errors) for route in moment.routes()[:2]] == [
        ("all", 4.0, 0.25),
        ("GET /", 4.0, 0.25),
    ]
    assert [(task.name, task.submitted, task.failed) for task in moment.tasks()] == [("all", 2.0, 0.5), ("t", 2.0, 0.5)]
    assert moment.queues() == [("q", 7.0, 3.0)]
    assert moment.workers() == [("v", False, 0.0, 0.0), ("w", True, 2.0, 4.0)]
    assert moment.models()[0] == ("all", 0.0, pytest.approx(600.0), pytest.approx(36.0))
    assert moment.alerts is None


def test_p95_is_that_of_the_window(pages: Pages) -> None:
    """The p95 is of what was observed while it is watched, not of all that was before."""
    series = (
        'http_request_duration_seconds_bucket{{method="GET",endpoint="/slow",environment="dev",le="{le}"}} {count}\n'
    )
    before = "".join(series.format(le=le, count=1000) for le in ("0.1", "1", "10", "+Inf"))
    pages.totals.says(before)
    clock = iter((0.0, 10.0))
    source = CollectorSource(pages_of("127.0.0.1", os.environ), lambda sample: True, lambda: next(clock))
    source.read()
    counts = {"0.1": 1000, "1": 1000, "10": 1100, "+Inf": 1100}
    pages.totals.says("".join(series.format(le=le, count=count) for le, count in counts.items()))
    assert source.read().routes()[0].p95 == pytest.approx(1 + 9 * 0.95)


def test_page_that_cannot_be_read_is_said(pages: Pages) -> None:
    """A read that fails says why, keeps what was shown, and the next one goes on."""
    clock = iter((0.0, 10.0, 20.0))
    source = CollectorSource(pages_of("127.0.0.1", os.environ), lambda sample: True, lambda: next(clock))
    healthy = pages.totals.answers["/"][1]
    before = source.read()
    pages.totals.says("", 503)
    failed = source.read()
    assert "it answers 503" in failed.problem
    assert failed.standing == before.standing
    pages.totals.says(healthy)
    assert source.read().problem == ""


def test_prometheus_alone_gives_the_same(prometheus: Prometheus, collector: Collector) -> None:
    """From a Prometheus alone the same rows are shown, and alerts, too."""
    source = PrometheusSource(Api(prometheus.url), lambda sample: True)
    assert eventually(lambda: any(route.name == "GET /items/{item}" for route in source.read().routes()))
    assert source.read().alerts == []
    assert PrometheusSource(Api(closed_url()), lambda sample: True).read().problem


def _drawn(moment: Moment, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(picture(moment, "http://127.0.0.1:8889/metrics", width, height, datetime.now(UTC)))
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 50), (60, 15)])
def test_picture_fits_the_terminal(width: int, height: int) -> None:
    """However many routes, tasks, queues, workers, models and alerts there are, all of it fits, with each heading."""
    long = "x" * 200
    text = "".join(
        f'http_requests_total{{method="GET",endpoint="/{n}/{long}",status_code="200"}} {n}\n'
        f'celery_tasks_submitted_total{{task_name="{n}{long}",queue="q"}} {n}\n'
        f'celery_queue_length{{queue="{n}{long}"}} {n}\ncelery_active_workers{{hostname="{n}{long}"}} 1\n'
        f'llm_cost_usd_total{{provider="p",model="{n}{long}"}} {n}\n'
        for n in range(40)
    )
    alerts = [Alert(f"Alert{n}", "critical", "firing", long) for n in range(40)]
    lines = _drawn(Moment(parse(text), seconds=10.0, alerts=alerts), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    for heading in ("q leaves", "HTTP", "TASKS", "QUEUES", "WORKERS", "LLM", "ALERTS 40"):
        assert any(heading in line for line in lines), heading


def test_pending_alerts_are_told_from_firing_ones() -> None:
    """The heading counts both, for a terminal without colours."""
    states = {"Fires": "firing", "Waits": "pending", "Waits2": "pending"}
    alerts = [Alert(name, "warning", state, "about") for name, state in states.items()]
    (heading,) = [line for line in _drawn(Moment({}, seconds=10.0, alerts=alerts)) if "ALERTS" in line]
    assert heading.split() == ["ALERTS", "1", "2", "pending"]


def test_quiet_fleet_has_a_picture() -> None:
    """A fleet without an event, and the first read, show zeros and no error."""
    assert any("rates from the next read on" in line for line in _drawn(Moment()))


def test_missing_library_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra it says what to install."""
    monkeypatch.delattr(watch, "screen", raising=False)
    monkeypatch.delitem(sys.modules, "telemetry.cli.watch.screen", raising=False)
    monkeypatch.delitem(sys.modules, "telemetry.cli.watch.view", raising=False)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["watch"]) == 2
    assert "pip install 'fleet-telemetry[watch]'" in capsys.readouterr().err


def _in_front() -> None:
    """The terminal of standard input is that of this process, as a shell makes it, so that its Ctrl-C comes here."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize("keys", [b"q", b"\x1b[Aq", b"\x03"])
def test_key_leaves_and_the_terminal_is_as_before(collector: Collector, pages: Pages, keys: bytes) -> None:
    """In a terminal it draws until `q`, also after an arrow key, or Ctrl-C, ends with 0, and gives screen and keys back."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "telemetry", "watch", "--collector", "127.0.0.1", "--interval", "0.2"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
    process = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=_in_front)  # noqa: PLW1509
    os.close(theirs)
    said: list[bytes] = []

    def shows(text: str) -> Any:
        said.append(os.read(ours, 65536))
        return text in b"".join(said).decode(errors="replace")

    try:
        assert eventually(lambda: shows("QUEUES"), 60)
        os.write(ours, keys)
        assert eventually(lambda: shows("\x1b[?1049l"), 20)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
