"""Things go wrong on a real fleet, the right alerts fire, and only those, and they arrive; durations are 60 times shorter than in earnest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from deploy.fleet import Fleet
from deploy.processes import PYTHON
from deploy.settings import ROOT, FleetSettings
from support.waiting import eventually
from tests.fleet.client import ChatClient
from tests.fleet.conftest import FLEET_ENVIRONMENT
from tests.grafana.live import Prometheus, fleet_of
from tests.support import processes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SPEED = 60
NODES = 2
CHATS = "/api/v1/chat/conversations"
CACHED = "What does everybody ask?"
PATIENCE = 90.0  # seconds until alerts fire: a node's heartbeat, an export, a scrape, and the shortened windows
QUIET = 20.0  # seconds a healthy fleet is watched
STRAGGLERS = 8.0  # seconds to see what else fires
UNLIMITED = '{"free": {"default": "1000000/minute"}}'
VENDOR_DOWN = {
    "HighErrorRate",
    "HttpAvailabilityBurnsFast",
    "HttpAvailabilityBurnsSlowly",
    "HighTaskFailureRate",
    "TaskSuccessBurnsFast",
    "TaskSuccessBurnsSlowly",
}


@dataclass
class Drill:
    """The fleet, what its Prometheus says is firing, and who was told: all that Alertmanager sent to a webhook."""

    fleet: Fleet
    client: ChatClient
    told: set[str]

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        alerts = httpx.get(self.fleet.settings.url("PROMETHEUS_PORT", "/api/v1/alerts")).json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def arrived(self) -> set[str]:
        """Names of the alerts that Alertmanager has now, also of those that it tells nobody of because of another."""
        alerts = httpx.get(self.fleet.settings.url("ALERTMANAGER_PORT", "/api/v2/alerts")).json()
        return {alert["labels"]["alertname"] for alert in alerts}

    def becomes(self, expected: set[str], meanwhile: Callable[[], object] = lambda: None) -> dict[str, float]:
        """Wait until all expected alerts have fired, and a little longer; every alert that fired, with its seconds.

        Each has arrived at Alertmanager by then.
        """
        started, fired, arrived = time.monotonic(), dict[str, float](), set[str]()
        ends = started + PATIENCE
        while time.monotonic() < ends:
            meanwhile()
            now = time.monotonic()
            for name in self.firing():
                fired.setdefault(name, now - started)
            arrived |= self.arrived()
            if expected <= set(fired):
                ends = min(ends, started + max(fired.values(), default=QUIET) + STRAGGLERS)
            time.sleep(0.2)
        assert set(fired) <= arrived
        return fired

    def calms_down(self) -> None:
        """Wait until nothing fires any more."""
        deadline = time.monotonic() + PATIENCE
        while self.firing() and time.monotonic() < deadline:
            time.sleep(0.5)
        assert self.firing() == set()

    def workers(self, *command: str) -> None:
        """Tell all workers something through Celery's remote control."""
        subprocess.run(
            [PYTHON, "-m", "celery", "-A", "worker.celery_app:celery_app", "control", *command],
            cwd=ROOT,
            env=self.fleet.environment() | {"OTEL_METRICS_EXPORTER": "none"},
            check=True,
            capture_output=True,
        )

    def ask(self, message: str) -> None:
        """A message whose reply nobody waits for, on queue `low`."""
        self.client.start_conversation(message)


class Webhook:
    """Takes what Alertmanager sends.

    Attributes:
        told: Names of the alerts in it.
    """

    def __init__(self) -> None:
        told = self.told = set[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told.update(alert["labels"]["alertname"] for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts"


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    """A receiver for the fleet's Alertmanager."""
    made = Webhook()
    with made.server:
        Thread(target=made.server.serve_forever, daemon=True).start()
        yield made
        made.server.shutdown()


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory, webhook: Webhook) -> Iterator[Drill]:
    """A small fleet with fast rules, warm and calm."""
    settings = FleetSettings.isolated(
        tmp_path_factory.mktemp("drill"),
        app_replicas=1,
        worker_nodes=NODES,
        worker_concurrency=1,
        export_interval_ms=1000,
        scrape_seconds=1,
        alert_speed=SPEED,
        alert_webhook=webhook.url,
    )
    environment = FLEET_ENVIRONMENT | {"RATE_LIMITS": UNLIMITED, "TASK_MAX_RETRIES": "0"}
    with (
        fleet_of(settings, environment) as fleet,
        httpx.Client(base_url=settings.url("NGINX_PORT"), timeout=30) as http,
    ):
        made = Drill(fleet, ChatClient(http, fleet.secrets()["ADMIN_TOKEN"]), webhook.told)
        begun = made.client.start_conversation(CACHED)
        assert made.client.finish(begun["task_id"])["state"] == "succeeded"
        prometheus = Prometheus(settings.url("PROMETHEUS_PORT"))
        everything = f"count(celery_active_workers == 1) == {NODES} and on () count(up == 1) == 3"
        assert eventually(lambda: prometheus.query(everything))
        made.calms_down()
        yield made


@contextmanager
def _not_consumed(drill: Drill, queue: str) -> Iterator[None]:
    drill.workers("cancel_consumer", queue)
    try:
        yield
    finally:
        drill.workers("add_consumer", queue)


def test_healthy_fleet_is_silent(drill: Drill) -> None:
    """With ordinary traffic, nothing fires."""
    assert drill.becomes(set(), lambda: drill.ask(CACHED)) == {}


def test_one_of_several_workers_killed(drill: Drill) -> None:
    """`WorkersMissing` and nothing else, as the other goes on; it ends when the node is back."""
    with drill.fleet.killed(["worker1"]):
        fired = drill.becomes({"WorkersMissing"}, lambda: drill.ask(CACHED))
    drill.fleet.start_process("worker1")
    assert set(fired) == {"WorkersMissing"}
    drill.calms_down()


def test_all_workers_killed(drill: Drill) -> None:
    """`NoActiveWorkers` and nothing else; it ends when they are back."""
    names = [f"worker{number}" for number in range(1, NODES + 1)]
    with drill.fleet.killed(names):
        fired = drill.becomes({"NoActiveWorkers"})
    for name in names:
        drill.fleet.start_process(name)
    assert set(fired) == {"NoActiveWorkers"}
    drill.calms_down()


def test_pool_process_killed(drill: Drill) -> None:
    """A pool process that the kernel kills: `PoolProcessesLost`, and nothing else."""
    os.kill(processes.children(drill.fleet.pid("worker1"))[0], signal.SIGKILL)
    fired = drill.becomes({"PoolProcessesLost"})
    assert set(fired) == {"PoolProcessesLost"}
    drill.calms_down()


def test_queue_stalls(drill: Drill) -> None:
    """A queue that nobody consumes and that fills: `QueueNotConsumed` and what follows from it, and nothing else."""
    with _not_consumed(drill, "low"):
        for _ in range(101):
            drill.ask(CACHED)
        fired = drill.becomes({"QueueNotConsumed", "QueueBacklog", "QueueStalled"})
    assert set(fired) == {"QueueNotConsumed", "QueueBacklog", "QueueStalled"}
    assert eventually(lambda: "QueueNotConsumed" in drill.told)
    drill.calms_down()


def test_money_is_spent(drill: Drill) -> None:
    """A job that spends more than 50 USD within the window: `HighLLMCost`, and nothing else."""
    spend = """
    with t.llm.request(provider="openai", model="gpt-4o") as call:
        call.usage(prompt_tokens=1000, completion_tokens=6_000_000)
    for _ in range(9):
        t.llm.cache_hit(provider="openai", model="gpt-4o")
    """
    endpoint = drill.fleet.settings.url("OTELCOL_HTTP_PORT")
    processes.run(spend, endpoint, OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=prod")
    fired = drill.becomes({"HighLLMCost"})
    assert set(fired) == {"HighLLMCost"}
    drill.calms_down()


@pytest.mark.parametrize(("process", "alert"), [("beat", "BeatGone"), ("collector", "CollectorDown")])
def test_process_stops(drill: Drill, process: str, alert: str) -> None:
    """Its alert, and nothing that only follows from having no data; when it is back, counting goes on."""
    drill.fleet.stop_process(process)
    fired = drill.becomes({alert})
    drill.fleet.start_process(process)
    assert set(fired) == {alert}
    drill.calms_down()


def test_vendor_fails(drill: Drill) -> None:
    """Streams answer 502 and tasks fail: the alerts on both, and on what they use up, and nothing else.

    It is last: what has been used up of an allowance stays used up for its longest window.
    """
    begun = drill.client.start_conversation(CACHED)
    path = f"{CHATS}/{begun['conversation']['id']}/messages/stream"

    def demand() -> None:
        drill.ask(f"Something new at {time.monotonic()}")
        drill.client.http.post(path, json={"message": "Are you there?"})
        for _ in range(2):
            drill.ask(CACHED)

    drill.fleet.stop_process("simulated-llm")
    fired = drill.becomes(VENDOR_DOWN, demand)
    drill.fleet.start_process("simulated-llm")
    assert set(fired) == VENDOR_DOWN
