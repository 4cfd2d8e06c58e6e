"""The way out of a process: delivery over real sockets, exit, forks, the Prometheus sink."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.otlp_sink import OtlpSink

ROOT = Path(__file__).parents[2]
BEGIN = """
import multiprocessing, os, signal, sys, threading, time
import telemetry
t = telemetry.configure("test")
message = lambda plan="free": t.business.message_sent(plan=plan)
def timed(): t.http.answered("GET", "/x", 200, 0.1)
"""


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    """A collector that adds up."""
    made = OtlpSink()
    yield made
    made.close()


def start(code: str, endpoint: str, **env: str) -> subprocess.Popen[str]:
    """A process of its own that records and exports."""
    variables = {
        "PYTHONPATH": str(ROOT),
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        **env,
    }
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + textwrap.dedent(code)],
        env={**os.environ, **variables},
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def run(code: str, endpoint: str, seconds: float = 40, **env: str) -> str:
    """Run to the end; what it wrote to standard error."""
    process = start(code, endpoint, **env)
    _, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors
    return errors


def test_exit_delivers_the_last_counts(sink: OtlpSink) -> None:
    """What was recorded just before a normal exit arrives, long before the export interval is over."""
    run("message(); timed()", sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000")
    assert sink.total("messages_sent_total", user_plan="free") == 1
    assert sink.total("http_request_duration_seconds") == 1


def test_refused_exports_are_sent_again(sink: OtlpSink) -> None:
    """A collector that answers 503 takes nothing; once it answers, everything is there exactly once."""
    sink.status = 503
    process = start(
        """
        for _ in range(100): message(); timed(); time.sleep(0.005)
        sys.stdin.read()
        """,
        sink.url,
    )
    assert sink.eventually(lambda s: s.requests >= 2)
    sink.status = 200
    assert sink.eventually(lambda s: s.total("messages_sent_total") == 100)
    process.terminate()
    process.communicate()
    assert sink.total("messages_sent_total") == 100
    assert sink.total("http_request_duration_seconds") == 100


@pytest.mark.parametrize("collector", ["refused", "hanging", "failing"])
def test_exit_has_one_deadline(sink: OtlpSink, collector: str) -> None:
    """Exit takes no longer than the deadline whatever the collector does, and what was lost is logged."""
    endpoint = sink.url
    if collector == "refused":
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    sink.hang_seconds = 30.0 if collector == "hanging" else 0.0
    sink.status = 500 if collector == "failing" else 200
    started = time.monotonic()
    errors = run(
        "message(); begun = time.monotonic(); telemetry.shutdown(); print(time.monotonic() - begun)",
        endpoint,
        TELEMETRY_EXIT_DEADLINE="2",
    )
    assert time.monotonic() - started < 2 + 6
    assert "messages_sent_total 1" in errors


FORKS = {
    "os.fork": """
        pid = os.fork()
        if pid == 0:
            message("pro"); timed(); sys.exit(0)
        os.waitpid(pid, 0)
        """,
    "multiprocessing": """
        def child(): message("pro"); timed()
        p = multiprocessing.get_context("fork").Process(target=child); p.start(); p.join()
        """,
    "grandchild": """
        pid = os.fork()
        if pid == 0:
            inner = os.fork()
            if inner == 0:
                message("pro"); timed(); sys.exit(0)
            os.waitpid(inner, 0); os._exit(0)
        os.waitpid(pid, 0)
        """,
}


@pytest.mark.parametrize("how", FORKS)
def test_child_exports_only_its_own(sink: OtlpSink, how: str) -> None:
    """A child does not repeat what its parent counted before the fork, and the parent is unaffected."""
    before = "for _ in range(5): message()\n"
    run(before + textwrap.dedent(FORKS[how]) + "message()", sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000")
    assert sink.total("messages_sent_total", user_plan="free") == 6
    assert sink.total("messages_sent_total", user_plan="pro") == 1
    assert sink.total("http_request_duration_seconds") == 1


def test_fork_while_recording_and_exporting(sink: OtlpSink) -> None:
    """Children forked while threads record and export do not hang, and every count arrives once."""
    run(
        """
        ends = time.monotonic() + 2
        counted = [0, 0]
        def record(n):
            while time.monotonic() < ends: message(); timed(); counted[n] += 1
        def flush():
            while time.monotonic() < ends: t.force_flush()
        threads = [threading.Thread(target=record, args=(n,)) for n in (0, 1)] + [threading.Thread(target=flush)]
        for thread in threads: thread.start()
        children = []
        while time.monotonic() < ends - 0.5:
            pid = os.fork()
            if pid == 0:
                message("pro"); timed(); sys.exit(0)
            children.append(pid)
            time.sleep(0.1)
        for pid in children: assert os.waitpid(pid, 0)[1] == 0
        for thread in threads: thread.join()
        for _ in range(len(children)): message("enterprise")
        for _ in range(sum(counted)): t.business.image_generated(model="truth")
        """,
        sink.url,
    )
    children = sink.total("messages_sent_total", user_plan="enterprise")
    assert children > 0
    assert sink.total("messages_sent_total", user_plan="pro") == children
    assert sink.total("messages_sent_total", user_plan="free") == sink.total("images_generated_total")
    assert sink.total("http_request_duration_seconds") == sink.total("images_generated_total") + children


def test_identity_survives_fork_recognisably(sink: OtlpSink) -> None:
    """A user's instance id stays; a child's is the same with its process id."""
    run(
        """
        pid = os.fork()
        if pid == 0: message(); sys.exit(0)
        os.waitpid(pid, 0); message()
        """,
        sink.url,
        OTEL_RESOURCE_ATTRIBUTES="service.instance.id=web-1",
    )
    assert len(sink.instances) == 2
    assert "web-1" in sink.instances
    assert all(name == "web-1" or name.startswith("web-1.") for name in sink.instances)


def test_killed_process_loses_one_interval(sink: OtlpSink) -> None:
    """What was exported before a SIGKILL stays counted, once."""
    process = start("message(); time.sleep(60)", sink.url)
    assert sink.eventually(lambda s: s.total("messages_sent_total") == 1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert sink.total("messages_sent_total") == 1


def test_prometheus_sink_shows_the_same_series(sink: OtlpSink) -> None:
    """Without a collector the endpoint shows the documented names with their labels and `environment`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start(
        'message(); timed(); t.http.started("GET", "/x"); print("ready", flush=True); time.sleep(60)',
        sink.url,
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=stage",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    process.kill()
    process.communicate()
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["messages_sent_total", (("environment", "stage"), ("user_plan", "free"))] == 1
    route = (("endpoint", "/x"), ("environment", "stage"), ("method", "GET"))
    assert samples["http_request_duration_seconds_count", route] == 1
    assert samples["http_requests_in_progress", route] == 1
    assert not [name for name, _ in samples if "otel_scope" in name or "target_info" in name]
