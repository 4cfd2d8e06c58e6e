"""Several exporters at once: each has every count of a host's processes, also of those that were killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from opentelemetry.sdk.metrics.export import MetricsData

from support import exposition
from support.ports import free_port
from support.waiting import eventually
from telemetry import guard
from telemetry.box.box import Box
from telemetry.box.dead import dead_boxes
from telemetry.box.header import Role
from telemetry.pipeline import otlp
from telemetry.pipeline import pipeline as module
from telemetry.pipeline.adoption import Adoption
from telemetry.pipeline.delivery import Delivery
from telemetry.pipeline.prometheus import PrometheusEndpoint
from telemetry.pipeline.sums import keeper
from telemetry.pipeline.transport import target_of
from telemetry.settings.settings import Settings
from telemetry.setup import Telemetry
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import BEGIN, environment, finish, line, start, started
from tests.telemetry.pipeline.fakes import BUSY, Clock, Ledger, Observed, Script

REQUESTS = "http_requests_total"
COUNT = "for _ in range(10): message(); timed()\nsay('counted'); sys.stdin.read()"


class Host:
    """Processes with both exporters over one directory, which deliver and serve when a test says so.

    Attributes:
        taken: What the collector has.
    """

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(exporters=("otlp", "prometheus"), state_dir=directory)
        self.script = Script()
        self.taken: Ledger = self.script.taken
        self.keep = keeper(directory)

    def process(self) -> Telemetry:
        """One that counts."""
        made = Telemetry(self.settings)
        made.pipeline.start = lambda: None  # type: ignore[method-assign] - nothing leaves by itself
        return made

    def dies(self, process: Telemetry) -> None:
        """Its box is left to the others."""
        box = process.meter_provider.renew()
        assert box is not None
        box.leave()

    def adopt(self) -> None:
        """Somebody who lives delivers for the dead."""
        delivery = Delivery(self.script, Observed(), self.process().meter_provider.lock, Clock())
        target, age = target_of(self.settings), self.settings.state_max_age
        Adoption(self.settings.box_directory, target, delivery, age, Observed(), keep=self.keep).adopt(b"r" * 16, 5.0)

    def shown(self) -> float:
        """Requests on the page of a process that counts nothing."""
        pipeline = self.process().pipeline
        page = PrometheusEndpoint(self.settings, pipeline, lambda box: True).page("", "").body.decode()
        return sum(v for (name, _), v in exposition.parse(page).items() if name == REQUESTS)

    def boxes(self) -> int:
        """Files of dead processes that counted something."""
        counted = 0
        for box in dead_boxes(self.settings.box_directory):
            counted += any(any(cells) for _, cells in box.standing(Role.TOTALS))
            box.leave()
        return counted


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host without processes."""
    return Host(tmp_path / "state")


def test_dead_process_is_in_both(host: Host) -> None:
    """What a dead process counted is delivered once and shown for ever, and its file goes."""
    process = host.process()
    process.http.answered("GET", "/x", 200, 0.1)
    host.dies(process)
    assert host.shown() == 1
    host.adopt()
    assert (host.taken.counts[REQUESTS], host.shown(), host.boxes()) == (1, 1, 0)
    host.adopt()
    assert (host.taken.counts[REQUESTS], host.shown()) == (1, 1)


def test_undelivered_box_stays(host: Host) -> None:
    """While the collector takes nothing the page shows the box itself, and the endpoint leaves it where it is."""
    host.script.answer = BUSY
    process = host.process()
    process.http.answered("GET", "/x", 200, 0.1)
    host.dies(process)
    host.adopt()
    assert (host.shown(), host.boxes()) == (1, 1)


@pytest.mark.parametrize("moment", ["before the sum", "after the sum"])
def test_kill_between_delivery_and_sum(host: Host, moment: str) -> None:
    """A deliverer that is killed between delivering, adding up and removing changes no total, here or there."""
    process = host.process()
    process.http.answered("GET", "/x", 200, 0.1)
    host.dies(process)
    working, host.keep = host.keep, lambda boxes: None
    if moment == "after the sum":
        removed, Box.remove = Box.remove, lambda box: None  # type: ignore[method-assign]
        host.keep = working
    host.adopt()
    if moment == "after the sum":
        Box.remove = removed  # type: ignore[method-assign]
    assert (host.shown(), host.boxes()) == (1, 1)
    host.keep = working
    other = host.process()
    other.http.answered("GET", "/x", 200, 0.1)
    host.dies(other)
    host.adopt()
    assert (host.taken.counts[REQUESTS], host.shown(), host.boxes()) == (2, 2, 0)


def test_shown_box_is_not_replaced(host: Host) -> None:
    """A process that goes on after each end of its server keeps its one box, which the endpoint shows."""
    process = host.process()
    for _ in range(3):
        process.http.answered("GET", "/x", 200, 0.1)
        process.pipeline.leave_no_box()
    assert len(process.pipeline.boxes()) == len(list(host.settings.box_directory.glob("*.box"))) == 1


def test_one_that_fails_keeps_no_other(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one exporter raises reaches neither the application nor the others, when it flushes and at its end."""
    monkeypatch.delenv(guard.RAISE_VARIABLE, raising=False)
    pipeline = host.process().pipeline
    failing, other = Mock(), Mock()
    failing.force_flush.side_effect = failing.shutdown.side_effect = OSError("no room")
    pipeline._ways = {"prometheus": failing, "otlp": other}
    assert pipeline.force_flush(1.0) is False
    pipeline.shutdown()
    assert other.force_flush.called
    assert other.shutdown.called


def test_never_is_an_interval(sink: OtlpSink) -> None:
    """An interval, a deadline or a timeout for ever stops no thread; what is asked for is exported."""
    code = "import time; message(); time.sleep(1.5); message(); print(t.force_flush(float('inf')))"
    env = {"OTEL_METRIC_EXPORT_INTERVAL": str(2**63), "TELEMETRY_EXIT_DEADLINE": "1e18"}
    done = finish(start(code, sink.url, **env))
    assert (done.status, done.output.strip(), done.errors) == (0, "True", "")
    assert sink.total("messages_sent_total") == 2


def test_exporters_agree_on_killed_processes(tmp_path: Path, sink: OtlpSink) -> None:
    """Processes that end and that are killed are exact at the collector and on the page, and on the next one's."""
    port = free_port()
    env = {
        "OTEL_METRICS_EXPORTER": "OTLP, prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        "TELEMETRY_STATE_DIR": str(tmp_path / "state"),
    }

    def shown(metric: str) -> float:
        samples = exposition.scrape(f"http://localhost:{port}/metrics")
        return sum(value for (name, _), value in samples.items() if name == metric)

    with started(COUNT, sink.url, **env) as living:
        assert line(living) == "counted"
        with started(COUNT, sink.url, **env) as killed:
            assert line(killed) == "counted"
            killed.send_signal(signal.SIGKILL)
        assert finish(start("message(); timed()", sink.url, **env)).status == 0
        for total in (lambda: sink.total("messages_sent_total"), lambda: shown("messages_sent_total")):
            assert eventually(lambda total=total: total() == 21)
        assert eventually(lambda: len(list((tmp_path / "state").glob("*.box"))) == 1)  # that of the living
        for total in (
            lambda: shown("http_request_duration_seconds_count"),
            lambda: sink.total("http_request_duration_seconds"),
        ):
            assert eventually(lambda total=total: total() == 21)
        assert finish(living).status == 0
    with started("message(); say('up'); sys.stdin.read()", sink.url, **env) as later:
        assert line(later) == "up"
        assert eventually(lambda: shown("messages_sent_total") == sink.total("messages_sent_total") == 22)


def test_exporters_end_within_one_deadline(host: Host) -> None:
    """What one exporter takes of the time for the last metrics is no more there for the next."""
    pipeline = host.process().pipeline
    slow, last = Mock(), Mock()
    slow.shutdown.side_effect = slow.deliver_before_exit.side_effect = lambda seconds: time.sleep(0.2)
    pipeline._ways = {"otlp": last, "console": slow}
    pipeline.deliver_before_exit()
    pipeline.shutdown()
    [before_exit], [at_exit] = last.deliver_before_exit.call_args.args, last.shutdown.call_args.args
    assert before_exit <= pipeline.settings.exit_deadline - 0.2
    assert at_exit <= before_exit


def test_output_that_nobody_reads_holds_up_no_exit(sink: OtlpSink) -> None:
    """`console` whose output nobody reads costs an exit a part of its deadline, and `otlp` nothing."""
    code = """
    for number in range(400): t.http.answered("GET", f"/{number}", 200, 0.1)
    began = time.monotonic()
    assert not t.force_flush(2)
    print(time.monotonic() - began, file=sys.stderr)
    """
    unread, output = os.pipe()
    try:
        env = environment(sink.url, OTEL_METRICS_EXPORTER="console,otlp", TELEMETRY_EXIT_DEADLINE="2")
        command = [sys.executable, "-c", BEGIN + textwrap.dedent(code)]
        done = subprocess.run(
            command, env=env, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    finally:
        os.close(output)
        os.close(unread)
    assert (done.returncode, sink.total(REQUESTS)) == (0, 400), done.stderr
    assert float(done.stderr.split()[-1]) < 5


def test_printing_holds_up_nobody_who_counts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is made of the totals what is printed, a new series can be made."""
    process = host.process()
    process.http.answered("GET", "/x", 200, 0.1)
    is_free = []

    def standing_of(*given: Any) -> MetricsData:
        with ThreadPoolExecutor(1) as executor:
            is_free.append(executor.submit(process.meter_provider.lock.acquire, timeout=5).result())
        return otlp.standing_of(*given)

    monkeypatch.setattr(module, "standing_of", standing_of)
    assert process.pipeline.standing().resource_metrics
    assert is_free == [True]


def test_console_prints_what_the_sdk_prints(sink: OtlpSink) -> None:
    """`console` beside `otlp` prints the totals since the start in the format of the SDK's exporter, also at the exit."""
    code = "message(); t.force_flush(); message('pro'); t.http.route('GET', '/x').started()"
    done = finish(start(code, sink.url, OTEL_METRICS_EXPORTER="otlp,console", OTEL_METRIC_EXPORT_INTERVAL="60000"))
    assert done.status == 0, done.errors
    decoder, printed, at = json.JSONDecoder(), [], 0
    while at < len(done.output.rstrip()):
        value, at = decoder.raw_decode(done.output, at + (done.output[at] == "\n"))
        printed.append(value)
    first, last = (_printed(data, "messages_sent_total") for data in (printed[0], printed[-1]))
    assert (sum(first.values()), sum(last.values())) == (1, 2)
    assert sum(_printed(printed[-1], "http_requests_in_progress").values()) == 1
    assert sink.total("messages_sent_total") == 2


def _printed(data: dict[str, object], name: str) -> dict[str, float]:
    return {
        str(point["attributes"]): point["value"]
        for resource in data["resource_metrics"]  # type: ignore[attr-defined]
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
        if metric["name"] == name
        for point in metric["data"]["data_points"]
    }
