"""The sink without a collector: the same series as the collector shows, from one process."""

from __future__ import annotations

import signal
import threading

import httpx
import pytest

from tests.support import exposition
from tests.support.collector import running
from tests.support.exposition import Samples, labels
from tests.support.ports import free_port
from tests.support.processes import BEGIN, finish, line, started

RECORD = """
t.http.started("GET", "/x"); timed(0.3); t.http.answered("POST", "/y", 500, 31.0)
message(); message("pro")
t.business.observe_users_active({"free": 3, "pro": 1}); t.business.observe_conversations_active(7)
t.errors.occurred("ValueError", component="http"); t.errors.rate_limit_exceeded(endpoint="/x", plan="free")
t.celery.submitted("work", "high"); t.celery.task("work", "high").completed(0.2)
t.celery.observe_queue_lengths({"high": 2}); t.celery.observe_workers({"w1": True})
t.storage.operation("upload", bucket="b", transferred_bytes=10)
t.storage.observe_quota_used([("u1", "free", 5)])
t.database.query_executed("SELECT", "users", 0.01)
with t.llm.request(provider="openai", model="gpt-4o-mini") as call: call.usage(prompt_tokens=5, completion_tokens=7)
t.force_flush(); say("recorded"); sys.stdin.read()
"""
STAGE = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=stage"}


def _prometheus(port: int) -> dict[str, str]:
    return {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(port), **STAGE}


def _from_endpoint() -> Samples:
    port = free_port()
    with started(RECORD, "", **_prometheus(port)) as process:
        assert line(process) == "recorded"
        return exposition.scrape(f"http://localhost:{port}/metrics")


def _from_collector() -> Samples:
    with running() as collector, started(RECORD, collector.endpoint, **STAGE) as process:
        assert line(process) == "recorded"
        collector.settles_at("llm_requests_total", 1)
        collector.settles_at("conversations_active", 7)
        return {**collector.samples("TOTALS"), **collector.samples("LEVELS")}


def _comparable(samples: Samples) -> Samples:
    """Without `instance` and creation times, bounds as numbers: plain text of a Go program says 8, of Python 8.0."""
    shown = {}
    for (name, key), value in samples.items():
        if not name.endswith("_created"):
            shown[name, tuple((k, str(float(v)) if k == "le" else v) for k, v in key if k != "instance")] = value
    return shown


def test_sinks_show_identical_series() -> None:
    """Every series of the one sink is in the other, with the same labels, buckets and value; levels lack `instance`."""
    alone, fleet = _comparable(_from_endpoint()), _comparable(_from_collector())
    assert set(alone) ^ set(fleet) == set()
    assert alone == pytest.approx(fleet, abs=1e-3)
    assert ("messages_sent_total", labels(environment="stage", user_plan="free")) in alone


def test_taken_port_is_explained() -> None:
    """A port that is taken does not stop the application; the log says which setting and what to do."""
    port = free_port()
    with started("say('up'); sys.stdin.read()", "", **_prometheus(port)) as first:
        assert line(first) == "up"
        with started("message(); say('up')", "", **_prometheus(port)) as second:
            assert line(second) == "up"
            finished = finish(second)
    assert finished.status == 0
    assert f"OTEL_EXPORTER_PROMETHEUS_PORT={port} cannot be used" in finished.errors
    assert "Traceback" not in finished.errors


def test_overlapping_scrapes_are_whole() -> None:
    """Scrapes at the same time each get every series once."""
    port = free_port()
    with started(RECORD, "", **_prometheus(port)) as process:
        assert line(process) == "recorded"
        pages: list[str] = []

        def scrape() -> None:
            pages.extend(httpx.get(f"http://localhost:{port}/metrics").text for _ in range(20))

        threads = [threading.Thread(target=scrape) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(pages) == 80
    assert len({frozenset(exposition.parse(page)) for page in pages}) == 1


def test_child_does_not_hold_the_port() -> None:
    """A forked child is not on the endpoint and says so; when its parent is gone, nothing listens there."""
    port = free_port()
    code = """
    message(); say("ready"); sys.stdin.readline()
    pid = os.fork()
    if pid == 0:
        message("pro"); say("child"); sys.stdin.read(); os._exit(0)
    os.waitpid(pid, 0)
    """
    with started(code, "", begin=BEGIN, **_prometheus(port)) as process:
        assert line(process) == "ready"
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert line(process) == "child"
        samples = exposition.scrape(f"http://localhost:{port}/metrics")
        assert samples["messages_sent_total", labels(environment="stage", user_plan="pro")] == 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://localhost:{port}/metrics")
        process.stdin.close()
