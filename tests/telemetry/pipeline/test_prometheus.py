"""The sink without a collector: any process of a host serves the exact totals of all of them, living and dead."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

import telemetry
from support import exposition, web
from support.collector import running
from support.exposition import Samples, labels
from support.ports import free_port
from support.waiting import eventually
from telemetry.setup import Telemetry
from tests.support.processes import BEGIN, ROOT, finish, line, started

RECORD = """
t.http.route("GET", "/x").started(); timed(0.3); t.http.answered("POST", "/y", 500, 31.0)
message(); message("pro")
chat.of(t).observe_users_active({"free": 3, "pro": 1}); chat.of(t).observe_conversations_active(7)
t.errors.occurred("ValueError", component="http"); t.errors.rate_limit_exceeded(endpoint="/x", plan="free")
t.celery.submitted("work", "high"); t.celery.task("work", "high").completed(0.2)
reader = type("Reader", (), {})()
from telemetry.domains.celery_broker import BrokerReading
t.celery.broker.observe(reader, BrokerReading(workers={"w1": True}, queue_lengths={"high": 2}))
chat.of(t).operation("upload", bucket="b", transferred_bytes=10)
chat.of(t).observe_quota_used([("u1", "free", 5)])
t.database.query_executed("SELECT", "users", 0.01)
with t.llm.request(provider="openai", model="gpt-4o-mini") as call: call.usage(prompt_tokens=5, completion_tokens=7)
t.force_flush(); say("recorded"); sys.stdin.read()
"""
STAGE = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=stage"}
SHOP = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=stage,service.namespace=shop"}


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """A state directory of this test: what was counted in one stays on its endpoint."""
    return {"TELEMETRY_STATE_DIR": str(tmp_path / "state")}


def _prometheus(port: int) -> dict[str, str]:
    return {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(port), **STAGE}


@contextmanager
def _endpoint(place: dict[str, str], who: dict[str, str]) -> Iterator[Callable[[], Samples]]:
    port = free_port()
    with started(RECORD, "", **{**_prometheus(port), **place, **who}) as process:
        assert line(process) == "recorded"
        yield lambda: exposition.scrape(f"http://localhost:{port}/metrics")


@contextmanager
def _collector(who: dict[str, str]) -> Iterator[Callable[[], Samples]]:
    with running() as collector, started(RECORD, collector.endpoint, **who) as process:
        assert line(process) == "recorded"
        yield lambda: {**collector.samples("TOTALS"), **collector.samples("LEVELS")}


def _is_priced(samples: Samples) -> bool:
    return (
        exposition.total(samples, "llm_cost_usd_total") > 0 and exposition.total(samples, "llm_price_table_info") == 1
    )


def _comparable(samples: Samples) -> Samples:
    """Without `instance` and creation times, bounds as numbers: plain text of a Go program says 8, of Python 8.0."""
    shown = {}
    for (name, key), value in samples.items():
        if not name.endswith("_created"):
            shown[name, tuple((k, str(float(v)) if k == "le" else v) for k, v in key if k != "instance")] = value
    return shown


@pytest.mark.parametrize("who", [STAGE, SHOP], ids=["environment", "namespace"])
def test_sinks_show_identical_series(place: dict[str, str], who: dict[str, str]) -> None:
    """Every series of the one sink is in the other, with the same labels, buckets and value; levels lack `instance`."""
    with _endpoint(place, who) as of_endpoint, _collector(who) as of_collector:
        # Prices are loaded meanwhile, and a collector shows each kind of metrics at a moment of its own.
        alone, fleet = eventually(
            lambda: (_comparable(of_endpoint()), _comparable(of_collector())),
            wanted=lambda shown: shown[0] == pytest.approx(shown[1], abs=1e-3) and _is_priced(shown[0]),
        )
    assert set(alone) ^ set(fleet) == set()
    assert alone == pytest.approx(fleet, abs=1e-3)
    namespace = {"service_namespace": "shop"} if who is SHOP else {}
    assert ("messages_sent_total", labels(environment="stage", user_plan="free", **namespace)) in alone
    assert all(("service_namespace" in dict(key)) is (who is SHOP) for _, key in alone)


def test_taken_port_is_explained(place: dict[str, str]) -> None:
    """A port that somebody else has does not stop the application; the log says which setting and what to do."""
    with socket.create_server(("localhost", 0)) as foreign:
        port = foreign.getsockname()[1]
        with started("message(); say('up')", "", **_prometheus(port), **place) as process:
            assert line(process) == "up"
            finished = finish(process)
    assert finished.status == 0
    assert f"OTEL_EXPORTER_PROMETHEUS_PORT={port} cannot be used" in finished.errors
    assert "Traceback" not in finished.errors


def test_overlapping_scrapes_are_whole(place: dict[str, str]) -> None:
    """Scrapes at the same time each get every series once."""
    port = free_port()
    with started(RECORD, "", **_prometheus(port), **place) as process:
        assert line(process) == "recorded"
        assert eventually(lambda: _is_priced(exposition.scrape(f"http://localhost:{port}/metrics")))
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


def _total(port: int, metric: str, **having: str) -> float:
    samples = exposition.scrape(f"http://localhost:{port}/metrics")
    wanted = set(having.items())
    return sum(value for (name, key), value in samples.items() if name == metric and wanted <= set(key))


def test_processes_of_a_host_share_one_endpoint(place: dict[str, str]) -> None:
    """Several processes of one directory need one port: whoever has it shows all, and when it dies another one takes it."""
    port = free_port()
    code = "for _ in range(10): message(); timed()\nt.http.route('GET', '/x').started(); t.force_flush(); say('up'); sys.stdin.read()"
    with started(code, "", **_prometheus(port), **place) as first:
        assert line(first) == "up"
        with started(code, "", **_prometheus(port), **place) as second:
            assert line(second) == "up"
            assert _total(port, "messages_sent_total") == 20
            assert _total(port, "http_request_duration_seconds_count") == 20
            assert _total(port, "http_requests_in_progress") == 2
            first.send_signal(signal.SIGKILL)
            first.wait(20)
            assert eventually(lambda: _is_served(port))
            assert _total(port, "messages_sent_total") == 20
            assert _total(port, "http_requests_in_progress") == 1
            assert finish(second).errors == ""


def _is_served(port: int) -> bool:
    try:
        return httpx.get(f"http://localhost:{port}/metrics").status_code == httpx.codes.OK
    except httpx.ConnectError:
        return False


def test_children_are_shown_living_and_dead(place: dict[str, str]) -> None:
    """What forked children count is on their parent's endpoint while they live and after they were killed."""
    port = free_port()
    code = """
    message(); say("ready"); sys.stdin.readline()
    pid = os.fork()
    if pid == 0:
        for _ in range(7): message("pro")
        say("counted"); sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0); say("killed"); sys.stdin.read()
    """
    with started(code, "", begin=BEGIN, **_prometheus(port), **place) as process:
        assert line(process) == "ready"
        _go(process)
        assert line(process) == "counted"
        assert _total(port, "messages_sent_total", user_plan="pro") == 7
        _go(process)
        assert line(process) == "killed"
        assert _total(port, "messages_sent_total", user_plan="pro") == 7
        assert eventually(lambda: len(list(Path(place["TELEMETRY_STATE_DIR"]).glob("*.box"))) == 1)
        assert _total(port, "messages_sent_total") == 8


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("children", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_recycled_children_leave_no_file(place: dict[str, str], children: int) -> None:
    """Short-lived children cost a bounded number of files, and no total ever falls while they come and go."""
    port = free_port()
    code = f"""
    message()
    for number in range({children}):
        pid = os.fork()
        if pid == 0:
            message("pro"); timed()
            os.kill(os.getpid(), signal.SIGKILL) if number % 3 == 0 else os._exit(0)
        os.waitpid(pid, 0)
    say("done"); sys.stdin.read()
    """
    environment = {**_prometheus(port), **place, "OTEL_METRIC_EXPORT_INTERVAL": "100"}
    with started(code, "", **environment) as process:
        assert eventually(lambda: _is_served(port))
        seen = [0.0]
        while seen[-1] < children:
            seen.append(_total(port, "messages_sent_total", user_plan="pro"))
        assert seen == sorted(seen)
        assert line(process) == "done"
        assert _total(port, "http_request_duration_seconds_count") == children
        directory = Path(place["TELEMETRY_STATE_DIR"])
        assert eventually(lambda: len(list(directory.iterdir())) <= 2)


def test_totals_go_on_after_a_restart(place: dict[str, str]) -> None:
    """A service that is started again goes on where it was: no counter begins anew."""
    port = free_port()
    for expected in (5, 10, 15):
        code = "for _ in range(5): message()\nsay('up'); sys.stdin.read()"
        with started(code, "", **_prometheus(port), **place) as process:
            assert line(process) == "up"
            assert eventually(lambda: _is_served(port))
            assert _total(port, "messages_sent_total") == expected
            finish(process)


SERVICE = """
from fastapi import FastAPI
from opentelemetry import metrics
import telemetry
from tests.support import chat

t = telemetry.configure("svc", catalogue=chat)
greetings = metrics.get_meter("own").create_counter("greetings_total")
app = FastAPI()
telemetry.instrument(app)
app.mount("/metrics", telemetry.prometheus_asgi_app())

@app.get("/hello")
def hello():
    chat.of(t).message_sent(plan="free")
    greetings.add(1, {"to": "world"})
"""
GUNICORN = ("gunicorn", "service:app", "-k", "uvicorn_worker.UvicornWorker", "-w", "4", "-b")
SERVERS = {
    "uvicorn": ("uvicorn", "service:app", "--workers", "4", "--port"),
    "gunicorn": GUNICORN,
    "gunicorn with preload": (*GUNICORN[:-1], "--preload", "-b"),
    "gunicorn that recycles": (*GUNICORN[:-1], "--preload", "--max-requests", "30", "-b"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_workers_of_a_server_show_the_same_totals(place: dict[str, str], tmp_path: Path, server: str) -> None:
    """Behind four workers every scrape shows the same exact totals, the application's own too, by a route of its own."""
    port, own = free_port(), free_port()
    (tmp_path / "service.py").write_text(SERVICE)
    address = str(port) if server == "uvicorn" else f"127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", **_prometheus(own), **place}
    with subprocess.Popen(
        [sys.executable, "-m", *SERVERS[server], address],
        env=environment,
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            assert eventually(lambda: web.is_ok(f"{base}/hello"))
            before = _page(f"{base}/metrics/")
            answered = 0
            while answered < 300:  # a worker that is recycled may refuse a connection
                answered += web.is_ok(f"{base}/hello")
            for key in (
                ("messages_sent_total", labels(environment="stage", user_plan="free")),
                ("greetings_total", labels(environment="stage", to="world")),
            ):
                pages = [_page(f"{base}/metrics/") for _ in range(8)]
                assert {page[key] for page in pages} == {before[key] + 300}
                assert _page(f"http://localhost:{own}/metrics")[key] == before[key] + 300
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _page(url: str) -> Samples:
    """A page; the worker that is asked may be one that is being recycled, which answers nobody."""
    pages: list[Samples] = []

    def asked() -> bool:
        with suppress(httpx.TransportError):
            pages.append(exposition.scrape(url))
        return bool(pages)

    assert eventually(asked), f"{url} does not answer"
    return pages[0]


def test_route_without_the_sink_says_so() -> None:
    """A route for Prometheus in a service whose metrics go to a collector answers with a sentence, not with half of them."""
    answers: list[str] = []
    app = telemetry.prometheus_wsgi_app()
    body = b"".join(app({"REQUEST_METHOD": "GET"}, lambda status, headers: answers.append(status)))
    assert answers == ["503 Service Unavailable"]
    assert b"OTEL_METRICS_EXPORTER" in body


def test_own_metrics_have_legal_names(place: dict[str, str]) -> None:
    """What an application calls its metrics and labels is on the page under a name that Prometheus takes."""
    port = free_port()
    code = """
    from opentelemetry import metrics
    meter = metrics.get_meter("own")
    meter.create_counter("orders.placed").add(2, {"shop.kind": "book", "paid": True, "n": 1})
    meter.create_counter("visits_total").add(3)
    meter.create_histogram("size").record(7, {"a.b": "x", "a_b": "y"})
    meter.create_observable_gauge("depth", [lambda options: [metrics.Observation(5)]])
    say("up"); sys.stdin.read()
    """
    with started(code, "", **_prometheus(port), **place) as process:
        assert line(process) == "up"
        samples = exposition.scrape(f"http://localhost:{port}/metrics")
    assert samples["orders_placed", labels(environment="stage", shop_kind="book", paid="true", n="1")] == 2
    assert samples["visits_total", labels(environment="stage")] == 3
    assert samples["size_count", labels(environment="stage", a_b="x;y")] == 1
    assert samples["depth", labels(environment="stage")] == 5


def test_own_label_is_not_the_environment(place: dict[str, str]) -> None:
    """What an application calls `environment` or `service.namespace` itself replaces neither, as behind a collector."""
    port = free_port()
    code = """
    from opentelemetry import metrics
    own = metrics.get_meter("own").create_counter("visits_total")
    own.add(3, {"environment": "mine", "service.namespace": "mine", "service_namespace": "mine"})
    say("up"); sys.stdin.read()
    """
    with started(code, "", **{**_prometheus(port), **place, **SHOP}) as process:
        assert line(process) == "up"
        samples = exposition.scrape(f"http://localhost:{port}/metrics")
    assert samples["visits_total", labels(environment="stage", service_namespace="shop")] == 3


def test_namespaces_share_an_endpoint(place: dict[str, str]) -> None:
    """Processes of two namespaces and of none in one directory are three sets of series, also when they are dead."""
    port = free_port()
    record = "message(); chat.of(t).observe_conversations_active({n}); say('counted'); {end}"
    whose = {
        "shop": SHOP,
        "search": {"OTEL_RESOURCE_ATTRIBUTES": SHOP["OTEL_RESOURCE_ATTRIBUTES"][:-4] + "search"},
        "": STAGE,
    }

    def shown(metric: str) -> dict[str, float]:
        by_namespace: dict[str, float] = {}
        for (name, key), value in exposition.scrape(f"http://localhost:{port}/metrics").items():
            if name == metric:
                namespace = dict(key).get("service_namespace", "")
                by_namespace[namespace] = by_namespace.get(namespace, 0.0) + value
        return by_namespace

    for namespace in ("shop", "shop", "search", ""):
        variables = {**_prometheus(port), **place, **whose[namespace]}
        with started(record.format(n=1, end="os.kill(os.getpid(), 9)"), "", **variables) as process:
            finish(process)
    variables = {**_prometheus(port), **place, "OTEL_METRIC_EXPORT_INTERVAL": "100"}
    with ExitStack() as stack:
        for number, namespace in enumerate(whose):
            of = {**variables, **whose[namespace]}
            code = record.format(n=number, end="sys.stdin.read()")
            assert line(stack.enter_context(started(code, "", **of))) == "counted"
        counted = {"shop": 3, "search": 2, "": 2}
        assert eventually(lambda: shown("messages_sent_total") == counted)
        assert eventually(lambda: len(list(Path(place["TELEMETRY_STATE_DIR"]).glob("*.sum"))) == len(whose))
        assert shown("messages_sent_total") == counted
        assert eventually(lambda: shown("conversations_active") == {"shop": 0, "search": 1, "": 2})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_endpoint_asks_no_name_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """The endpoint opens at an address of either kind without looking up whose it is, which would hold a start up."""
    monkeypatch.setattr(socket, "getfqdn", lambda name="": pytest.fail("a name was looked up"))
    port = free_port()
    settings = telemetry.Settings(
        exporters=("prometheus",), state_dir=tmp_path, prometheus_host=host, prometheus_port=port
    )
    process = Telemetry(settings)
    process.start()
    try:
        shown = f"[{host}]" if ":" in host else host
        assert httpx.get(f"http://{shown}:{port}/metrics").status_code == 200
    finally:
        process.shutdown()
