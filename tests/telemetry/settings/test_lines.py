"""Every line of the table of variables does what it says: what arrives at a collector, on a page, or in the log."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from ssl import CERT_REQUIRED, PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import httpx
import prometheus_client
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import telemetry
from support import exposition
from support.ports import free_port
from support.waiting import eventually
from telemetry import Settings, SettingsError, process, setup, testing
from telemetry.box.dead import dead_boxes
from telemetry.deliver import deliver
from telemetry.instrumentation.zero_code import start_line
from telemetry.pipeline.transport import build_transport
from telemetry.settings import destination, variables
from telemetry.settings.readers import Readers
from telemetry.setup import Telemetry
from tests.support import chat, spans
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import run

LONG = "60000"
NAMED = "import telemetry; telemetry.configure(); from tests.support import chat\n"
MESSAGES = "messages_sent_total"


@dataclass
class Place:
    """Where one line is proved.

    Attributes:
        sink: A collector.
        directory: A state directory.
        monkeypatch: Of the test.
    """

    sink: OtlpSink
    directory: Path
    monkeypatch: pytest.MonkeyPatch
    said: list[Settings] = field(default_factory=list)

    @contextmanager
    def process(self, **env: str) -> Iterator[Telemetry]:
        """A process with these variables, which exports when it is told."""
        own = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.sink.url,
            "OTEL_METRIC_EXPORT_INTERVAL": LONG,
            "TELEMETRY_STATE_DIR": str(self.directory),
            "TELEMETRY_EXIT_DEADLINE": "0.2",
        }
        settings = Settings.from_environment("in-code", own | env)
        self.said.append(settings)
        made = Telemetry(settings, catalogue=chat.CHAT)
        try:
            yield made
        finally:
            made.shutdown()

    def exports(self, **env: str) -> OtlpSink:
        """Count and export once; where to."""
        with self.process(**env) as process:
            chat.of(process).message_sent(plan="free")
            process.http.answered("GET", "/x", 200, 0.3)
            process.force_flush(5.0)
        return self.sink

    def problem(self, setting: str) -> str:
        """What the last process was told of a setting, as an error."""
        (problem,) = [problem for problem in self.said[-1].problems if problem.setting == setting]
        return str(problem)

    def ignored(self, setting: str) -> str:
        """What the last process was told has no effect."""
        (problem,) = [problem for problem in self.said[-1].ignored if problem.setting == setting]
        return str(problem)


Proof = Callable[[Place], None]
PROOFS: dict[str, Proof] = {}


def proves(*proved: variables.Variable[Any]) -> Callable[[Proof], Proof]:
    """The proof of these lines."""

    def take(proof: Proof) -> Proof:
        PROOFS.update({variable.name: proof for variable in proved})
        return proof

    return take


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A collector and a state directory."""
    sink = OtlpSink()
    yield Place(sink, tmp_path / "state", monkeypatch)
    sink.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each proof."""
    if "proof" in metafunc.fixturenames:
        proofs = list(dict.fromkeys(PROOFS.values()))
        metafunc.parametrize("proof", proofs, ids=[proof.__name__.strip("_") for proof in proofs])


def test_lines_of_the_table(place: Place, proof: Proof) -> None:
    """Each variable has the effect that its line names, and a wrong value has the other one."""
    proof(place)


def test_every_line_is_proved() -> None:
    """A variable that is declared has a proof."""
    assert set(PROOFS) == {variable.name for variable in (*variables.STANDARD, *variables.OWN)}


def test_defaults_are_those_shown() -> None:
    """Where the table shows a default for people, it is the one that holds."""
    for variable in (*variables.STANDARD, *variables.OWN):
        shown = variable.shown.split(",")[0].strip("`")
        if (shown and isinstance(variable.default, bool | float | int)) or variable is variables.EXPORTERS:
            given = (shown,) if variable is variables.EXPORTERS else variable.read(shown)
            assert given == variable.default, variable.name


# --- what is exported, and whether --------------------------------------------------------------------------------------


@proves(variables.DISABLED)
def _disabled(place: Place) -> None:
    assert place.exports(OTEL_SDK_DISABLED="TRUE").requests == 0
    assert place.exports(OTEL_SDK_DISABLED="no").total(MESSAGES) == 1
    assert "set it to true or false" in place.problem("OTEL_SDK_DISABLED")


@proves(variables.SERVICE_NAME)
def _service_name(place: Place) -> None:
    assert place.exports().resource["service.name"] == "in-code"
    named = {"OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "service.name=other"}
    assert place.exports(**named).resource["service.name"] == "shop"


@proves(variables.RESOURCE_ATTRIBUTES)
def _resource_attributes(place: Place) -> None:
    said = place.exports(
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=eu%2Cwest,service.namespace=a,odd"
    ).resource
    assert (said["deployment.environment.name"], said["service.namespace"]) == ("eu,west", "a")
    assert "'odd'" in place.problem("OTEL_RESOURCE_ATTRIBUTES")


@proves(variables.EXPORTERS)
def _exporters(place: Place) -> None:
    assert place.exports(OTEL_METRICS_EXPORTER="none").requests == 0
    for at, value in enumerate(("", "OTLP", "otlp,pigeon", "pigeon"), start=1):
        assert place.exports(OTEL_METRICS_EXPORTER=value).total(MESSAGES) == at
    assert "'pigeon'" in place.problem("OTEL_METRICS_EXPORTER")
    assert place.exports(OTEL_METRICS_EXPORTER="none,pigeon").total(MESSAGES) == 4
    assert place.exports(OTEL_METRICS_EXPORTER="none,otlp").total(MESSAGES) == 5
    assert "none beside others" in place.problem("OTEL_METRICS_EXPORTER")
    assert Settings.from_environment(env={"OTEL_METRICS_EXPORTER": "console, prometheus"}).exporters == (
        "console",
        "prometheus",
    )


# --- where to -----------------------------------------------------------------------------------------------------------


@proves(variables.ENDPOINT)
def _endpoint(place: Place) -> None:
    for url in (place.sink.url, f"{place.sink.url}/"):
        assert place.exports(OTEL_EXPORTER_OTLP_ENDPOINT=url).path == "/v1/metrics"
        assert place.said[-1].problems == ()
    assert place.exports(OTEL_EXPORTER_OTLP_ENDPOINT=f"{place.sink.url}/tenant").path == "/tenant/v1/metrics"
    assert place.exports(OTEL_EXPORTER_OTLP_ENDPOINT=f"{place.sink.url}/v1/metrics").path == "/v1/metrics"
    assert "leave it out" in place.problem("OTEL_EXPORTER_OTLP_ENDPOINT")
    assert place.exports(OTEL_EXPORTER_OTLP_ENDPOINT=place.sink.url.removeprefix("http://")).total(MESSAGES) == 5
    assert "has no scheme" in place.problem("OTEL_EXPORTER_OTLP_ENDPOINT")
    for wrong in ("ftp://x", "http://", "http://x:port", "unix:///run/x"):
        settings = Settings.from_environment(env={"OTEL_EXPORTER_OTLP_ENDPOINT": wrong})
        assert settings.destination.url == "http://localhost:4318/v1/metrics"
        assert settings.problems[0].value == wrong


@proves(variables.METRICS_ENDPOINT)
def _metrics_endpoint(place: Place) -> None:
    place.exports(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{place.sink.url}/own", OTEL_EXPORTER_OTLP_ENDPOINT="http://x")
    assert (place.sink.path, place.sink.total(MESSAGES)) == ("/own", 1)
    place.sink.status = 404
    with place.process(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=place.sink.url) as process:
        answer = build_transport(process.settings.destination).send(process.pipeline.standing(), 5.0)
    assert "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" in answer.reason
    assert "append /v1/metrics" in answer.reason


@proves(variables.PROTOCOL)
def _protocol(place: Place) -> None:
    for protocol, sent in (("http/json", "application/json"), ("HTTP/Protobuf", "application/x-protobuf")):
        assert place.exports(OTEL_EXPORTER_OTLP_PROTOCOL=protocol).headers["content-type"] == sent
    assert (place.sink.total(MESSAGES), place.sink.total("http_request_duration_seconds")) == (2, 2)
    wins = {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    assert place.exports(**wins).headers["content-type"] == "application/json"
    place.monkeypatch.setattr(destination, "_has_grpc", lambda: False)
    assert place.exports(OTEL_EXPORTER_OTLP_PROTOCOL="grpc").total(MESSAGES) == 4
    assert "pip install grpcio" in place.problem("OTEL_EXPORTER_OTLP_PROTOCOL")


@proves(variables.HEADERS)
def _headers(place: Place) -> None:
    sent = place.exports(OTEL_EXPORTER_OTLP_HEADERS="Authorization=Basic%20abc,x-scope=Bearer a=b, broken").headers
    assert (sent["authorization"], sent["x-scope"]) == ("Basic abc", "Bearer a=b")
    assert "1 of 3" in place.problem("OTEL_EXPORTER_OTLP_HEADERS")
    assert "abc" not in place.problem("OTEL_EXPORTER_OTLP_HEADERS")
    both = {"OTEL_EXPORTER_OTLP_METRICS_HEADERS": "a=1", "OTEL_EXPORTER_OTLP_HEADERS": "b=2"}
    assert "b" not in place.exports(**both).headers
    assert place.exports(OTEL_EXPORTER_OTLP_HEADERS="a=1%0Ab").total(MESSAGES) == 3


@proves(variables.COMPRESSION)
def _compression(place: Place) -> None:
    for sent in ("gzip", "deflate", "none", "zstd"):
        known = {"none": None, "zstd": None}.get(sent, sent)
        assert place.exports(OTEL_EXPORTER_OTLP_COMPRESSION=sent).headers.get("content-encoding") == known
    assert "set it to gzip, deflate or none" in place.problem("OTEL_EXPORTER_OTLP_COMPRESSION")
    assert place.sink.total(MESSAGES) == 4


@proves(variables.TIMEOUT, variables.EXPORT_TIMEOUT)
def _timeouts(place: Place) -> None:
    place.sink.hang_seconds = 2.0
    for name, value in (("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2"), ("OTEL_METRIC_EXPORT_TIMEOUT", "300")):
        with place.process(**{name: value}) as process:
            chat.of(process).message_sent(plan="free")
            began = time.monotonic()
            assert not process.force_flush(5.0)
            assert 0.1 < time.monotonic() - began < 1.7


def _made(directory: Path, name: str) -> str:
    """A certificate that signs itself and its key, in one file."""
    path = directory / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    more = ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = directory / f"{name}.key"
    subprocess.run([*command, *more, "-keyout", key, "-out", path], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return str(path)


@proves(variables.CERTIFICATE, variables.CLIENT_CERTIFICATE, variables.CLIENT_KEY)
def _certificates(place: Place) -> None:
    place.directory.mkdir(mode=0o700)
    server, client = _made(place.directory, "server"), _made(place.directory, "client")
    tls = SSLContext(PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(server)
    tls.load_verify_locations(client)
    tls.verify_mode = CERT_REQUIRED
    secure = OtlpSink(tls)
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": secure.url, "OTEL_EXPORTER_OTLP_CERTIFICATE": server}
    key = {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": client, "OTEL_EXPORTER_OTLP_CLIENT_KEY": client[:-3] + "key"}
    place.exports(**where, **key)
    assert secure.total(MESSAGES) == 1
    place.exports(**where)
    place.exports(**where | {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/such.pem"})
    assert "names no file that can be read" in place.problem("OTEL_EXPORTER_OTLP_CERTIFICATE")
    place.exports(**where, OTEL_EXPORTER_OTLP_CLIENT_KEY=client)
    assert "needs OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" in place.problem("OTEL_EXPORTER_OTLP_CLIENT_KEY")
    assert secure.requests == 1
    secure.close()
    place.exports(OTEL_EXPORTER_OTLP_CERTIFICATE=server)
    assert "has no TLS" in place.ignored("OTEL_EXPORTER_OTLP_CERTIFICATE")


@proves(variables.INSECURE)
def _insecure(place: Place) -> None:
    place.monkeypatch.setattr(destination, "_has_grpc", lambda: True)

    def read(url: str, value: str) -> Settings:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_METRICS_INSECURE": value}
        return Settings.from_environment(env={**env, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})

    for url, value, insecure in (
        ("collector:4317", "true", True),
        ("collector:4317", "", False),
        ("http://collector:4317", "", True),
        ("https://collector:4317", "", False),
    ):
        settings = read(url, value)
        assert (settings.destination.url, settings.destination.insecure) == (url, insecure)
        assert settings.problems == settings.ignored == ()
    assert "says it by https://" in str(read("https://collector:4317", "true").ignored[0])


# --- when and how -------------------------------------------------------------------------------------------------------


@proves(variables.INTERVAL)
def _interval(place: Place) -> None:
    with place.process(OTEL_METRIC_EXPORT_INTERVAL="50") as process:
        for count in (1, 2):
            chat.of(process).message_sent(plan="free")
            assert eventually(lambda count=count: place.sink.total(MESSAGES) == count)
    with place.process(OTEL_METRIC_EXPORT_INTERVAL="0") as process:
        assert process.settings.export_interval == 15.0


@proves(variables.TEMPORALITY)
def _not_honoured(place: Place) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "Cumulative",
    }
    place.sink.judge = lambda request: 200 if "is_monotonic" not in str(request) or _is_delta(request) else 400
    place.exports(**env)
    assert place.sink.buckets
    assert place.sink.total(MESSAGES) == 1
    assert all("has no effect: " in place.ignored(name) for name in env)
    place.exports(**dict.fromkeys(env, "sometimes"))
    assert all("set it to" in place.problem(name) for name in env)
    place.exports(
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
    )
    assert place.said[-1].problems == place.said[-1].ignored == ()


@proves(variables.AGGREGATION)
def _aggregation(place: Place) -> None:
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    place.exports(**{name: "explicit_bucket_histogram"})
    place.exports(**{name: "sometimes"})
    assert "exponential" not in str(place.sink.last)
    assert "set it to explicit_bucket_histogram or base2_exponential" in place.problem(name)
    place.exports(**{name: "BASE2_exponential_bucket_histogram"})
    assert "exponential_histogram" in str(place.sink.last)
    assert place.sink.total("http_request_duration_seconds") == 3


@proves(variables.EXEMPLARS)
def _exemplars(place: Place) -> None:
    with spans.current():
        place.exports()
        place.exports(OTEL_METRICS_EXEMPLAR_FILTER="always_off")
        assert not place.sink.exemplars
        place.exports(OTEL_METRICS_EXEMPLAR_FILTER="TRACE_BASED")
        assert place.sink.exemplars
        place.exports(OTEL_METRICS_EXEMPLAR_FILTER="sometimes")
    assert "set it to always_off, trace_based or always_on" in place.problem("OTEL_METRICS_EXEMPLAR_FILTER")


def _is_delta(request: Any) -> bool:
    metrics = [metric for of in request.resource_metrics for scope in of.scope_metrics for metric in scope.metrics]
    totals = [metric.sum.is_monotonic for metric in metrics if metric.HasField("sum")]
    return "AGGREGATION_TEMPORALITY_CUMULATIVE" not in str(request) or not any(totals)


@proves(variables.CONFIG_FILE, variables.EXPERIMENTAL_CONFIG_FILE)
def _configuration_file(place: Place) -> None:
    for name in ("OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"):
        place.exports(**{name: "/etc/otel.yaml"})
        assert "a configuration file is not read" in place.ignored(name)
    assert place.sink.total(MESSAGES) == 2


@proves(variables.PROMETHEUS_HOST, variables.PROMETHEUS_PORT)
def _prometheus(place: Place) -> None:
    port = str(free_port())
    env = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.2"}
    with place.process(**env, OTEL_EXPORTER_PROMETHEUS_PORT=port) as process:
        chat.of(process).message_sent(plan="free")
        samples = exposition.scrape(f"http://127.0.0.2:{port}/metrics")
    assert sum(value for (name, _), value in samples.items() if name == MESSAGES) == 1
    with place.process(OTEL_EXPORTER_PROMETHEUS_PORT="http") as process:
        assert process.settings.prometheus_port == 9464


@proves(variables.PROMETHEUS_CONNECTIONS, variables.PROMETHEUS_YIELD_AFTER, variables.PROMETHEUS_IDLE_TIMEOUT)
def _limits_of_readers(place: Place) -> None:
    for limits, is_read, is_cut in (
        (("1", "60", "60"), False, False),
        (("1", "0.001", "60"), True, True),
        (("2", "60", "60"), True, False),
        (("2", "60", "0.1"), True, True),
    ):
        names = (f"TELEMETRY_PROMETHEUS_{name}" for name in ("CONNECTIONS", "YIELD_AFTER", "IDLE_TIMEOUT"))
        env = dict(zip(names, limits, strict=True)) | {"OTEL_METRICS_EXPORTER": "prometheus"}
        port = free_port()
        with place.process(**env, OTEL_EXPORTER_PROMETHEUS_PORT=str(port)) as process:
            chat.of(process).message_sent(plan="free")
            with socket.create_connection(("localhost", port), timeout=10) as silent:
                assert eventually(lambda: _is_read(port), 5) if is_read else not _is_read(port), limits  # noqa: B023
                assert not is_cut or silent.recv(1) == b"", limits
    assert Settings.from_environment(env={"TELEMETRY_PROMETHEUS_CONNECTIONS": "0.5"}).readers.connections == 16


def _is_read(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://localhost:{port}/metrics", trust_env=False).is_success
    return False


# --- hooks --------------------------------------------------------------------------------------------------------------


@proves(variables.DISABLED_INSTRUMENTATIONS)
def _disabled_instrumentations(place: Place) -> None:
    name, group = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "opentelemetry_instrumentor"
    ours = EntryPoint("fleet_celery", "telemetry.instrumentation.celery.zero_code:ZeroCodeCelery", group)
    place.monkeypatch.setattr(start_line, "entry_points", lambda group: [ours])
    for value, is_off in (("", False), ("fleet_fastapi", False), ("fleet_fastapi, fleet_celery", True), ("*", True)):
        said = start_line.line(Settings.from_environment(env={name: value}))
        assert bool(re.search(rf"celery [\d.]+ \(off by {name}\)", said)) is is_off
    assert "for ours is called fleet_celery" in start_line.line(Settings.from_environment(env={name: "celery"}))


def _counted(library: str, env: Mapping[str, str]) -> set[str]:
    """The routes whose requests are counted, and those that are declared."""
    if library == "fastapi":
        app: Any = FastAPI(openapi_url=None)
        app.get("/health/live")(lambda: "")
        app.get("/items/{item}")(lambda item: "")
    else:
        routes = [Route(path, lambda request: PlainTextResponse("")) for path in ("/health/live", "/items/{item}")]
        app = Starlette(routes=routes)
    with testing.captured(Settings.from_environment(env=env)) as captured, telemetry.instrument(app):
        with TestClient(app, base_url="http://shop:8000") as client:
            client.get("/health/live")
            client.get("/items/5")
        return {dict(key)["endpoint"] for key in captured.series("http_requests_total", zeros=True)}


@proves(variables.FASTAPI_URLS, variables.STARLETTE_URLS, variables.URLS)
def _excluded_urls(place: Place) -> None:
    every, items = {"/health/live", "/items/{item}"}, {"/items/{item}"}
    for library, other in (("fastapi", "starlette"), ("starlette", "fastapi")):
        own = f"OTEL_PYTHON_{library.upper()}_EXCLUDED_URLS"
        assert _counted(library, {}) == every
        for expressions in ("health", "never, HEALTH|/live$", "^http://shop:8000/health"):
            assert items <= _counted(library, {own: expressions})
        assert _counted(library, {own: "health"}) == items
        assert _counted(library, {"OTEL_PYTHON_EXCLUDED_URLS": "health"}) == items
        assert _counted(library, {"OTEL_PYTHON_EXCLUDED_URLS": "health", own: "nothing"}) == every
        assert _counted(library, {f"OTEL_PYTHON_{other.upper()}_EXCLUDED_URLS": "health"}) == every
        settings = Settings.from_environment(env={own: "health,(a+)+$,("})
        assert settings.excluded_urls[library] == ("health",)
        assert "(a+)+$" in str(settings.problems[0])


@proves(variables.EXCLUDED_PATHS)
def _excluded_paths(place: Place) -> None:
    env = {"TELEMETRY_EXCLUDED_PATHS": "/health/live, health"}
    assert _counted("fastapi", env) == {"/items/{item}"}
    assert "'health' is no exclusion" in str(Settings.from_environment(env=env).problems[0])


# --- ours ---------------------------------------------------------------------------------------------------------------


@proves(variables.STATE_DIR)
def _state_directory(place: Place) -> None:
    with place.process() as process:
        chat.of(process).message_sent(plan="free")
        assert len(list(place.directory.glob("*.box"))) == 1
    assert "set it to an absolute path" in str(
        Settings.from_environment(env={"TELEMETRY_STATE_DIR": "here"}).problems[0]
    )


@proves(variables.STATE_MAX_AGE)
def _state_max_age(place: Place) -> None:
    for age, adopted in (("60", (1, 0)), ("0.001", (0, 1))):
        place.sink.status = 503
        with place.process(TELEMETRY_STATE_MAX_AGE=age) as process:
            chat.of(process).message_sent(plan="free")
        place.sink.status = 200
        result = deliver(place.said[-1], 5.0)
        assert (result.delivered, result.expired) == adopted
    assert place.sink.total(MESSAGES) == 1
    assert list(dead_boxes(place.directory)) == []


@proves(variables.EXIT_DEADLINE)
def _exit_deadline(place: Place) -> None:
    place.sink.hang_seconds = 5.0
    with place.process(TELEMETRY_EXIT_DEADLINE="0.5") as process:
        chat.of(process).message_sent(plan="free")
        began = time.monotonic()
        process.shutdown()
        assert 0.3 < time.monotonic() - began < 2.5
    assert "a number of seconds" in str(Settings.from_environment(env={"TELEMETRY_EXIT_DEADLINE": "0"}).problems[0])


@proves(variables.HISTOGRAM_BUCKETS)
def _buckets(place: Place) -> None:
    env = {"TELEMETRY_HISTOGRAM_BUCKETS": "http_request_duration_seconds=0.1,2.5"}
    with testing.captured(Settings.from_environment(env=env)) as captured:
        captured.telemetry.http.answered("GET", "/x", 200, 1.0)
        assert captured.buckets("http_request_duration_seconds", method="GET", endpoint="/x") == [0, 1, 0]
    wrong = {"TELEMETRY_HISTOGRAM_BUCKETS": "http_request_duration_seconds=2,1"}
    assert Settings.from_environment(env=wrong).histogram_buckets == {}


@proves(variables.CATALOGUE)
def _catalogue(place: Place) -> None:
    place.monkeypatch.setattr(process.current, "configured", None)
    place.monkeypatch.setattr(setup, "_set_globally", lambda provider: None)
    place.monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    place.monkeypatch.setenv("TELEMETRY_CATALOGUE", "tests.support.own_metrics, no name")
    place.monkeypatch.delenv("TELEMETRY_STRICT")
    assert "own_orders_total" in telemetry.configure("svc").catalogue.by_name
    assert "has 'no name'" in str(Settings.from_environment().problems[0])


@proves(variables.PROMETHEUS_CLIENT)
def _prometheus_client(place: Place) -> None:
    counter = prometheus_client.Counter("lines_proved", "Lines.", registry=prometheus_client.CollectorRegistry())
    place.monkeypatch.setattr(prometheus_client.REGISTRY, "collect", counter.collect)
    counter.inc(3)
    for value, counted in (("true", 3), ("false", 0), ("perhaps", 0)):
        settings = Settings.from_environment(env={"TELEMETRY_PROMETHEUS_CLIENT": value})
        with testing.captured(settings) as captured:
            assert captured.total("lines_proved_total") == counted


@proves(variables.LLM_PRICES)
def _prices(place: Place) -> None:
    place.directory.mkdir()
    file = place.directory / "prices.toml"
    file.write_text('[[prices]]\nprovider="own"\nmodel="m"\ninput=2\noutput=8')
    with testing.captured(Settings.from_environment(env={"TELEMETRY_LLM_PRICES": str(file)})) as captured:
        with captured.telemetry.llm.request(provider="own", model="m") as call:
            call.usage(prompt_tokens=1_000_000)
        assert captured.total("llm_cost_usd_total") == 2
    settings = Settings.from_environment(env={"TELEMETRY_LLM_PRICES": "/no/file.toml"})
    assert (settings.llm_prices, settings.problems[0].setting) == ((), "TELEMETRY_LLM_PRICES")


@proves(variables.PASS_UNCATALOGUED)
def _pass_uncatalogued(place: Place) -> None:
    for value, counted in (("true", 1), ("false", 0), ("maybe", 0)):
        settings = Settings.from_environment(env={"TELEMETRY_PASS_UNCATALOGUED": value})
        with testing.captured(settings) as captured:
            meter = captured.telemetry.meter_provider.get_meter("opentelemetry.instrumentation.somebody")
            meter.create_counter("somebody.elses.count").add(1)
            assert captured.total("somebody.elses.count") == counted


@proves(variables.CATALOGUE)
def _catalogue(place: Place) -> None:
    env = {"TELEMETRY_CATALOGUE": "tests.support.chat, tests.support.chat"}
    assert Settings.from_environment(env=env).catalogue == ("tests.support.chat", "tests.support.chat")
    assert Settings.from_environment(env={"TELEMETRY_CATALOGUE": "no-module"}).problems
    finished = run(
        'telemetry.counter(chat.MESSAGES_SENT).add(1, {"user_plan": "pro"})', place.sink.url, begin=NAMED, **env
    )
    assert not finished.errors
    assert place.sink.total(MESSAGES, user_plan="pro") == 1


@proves(variables.PROMETHEUS_CLIENT)
def _prometheus_client(place: Place) -> None:
    code = 'from prometheus_client import Counter; Counter("letters", "Sent.").inc(3)'
    for value, counted in (("false", 0), ("true", 3)):
        run(code, place.sink.url, TELEMETRY_PROMETHEUS_CLIENT=value)
        assert place.sink.total("letters_total") == counted


@proves(variables.STRICT)
def _strict(place: Place) -> None:
    env = {"OTEL_METRICS_EXPORTER": "pigeon", "OTEL_METRIC_EXPORT_INTERVAL": "-1"}
    with pytest.raises(SettingsError, match=r"(?s)OTEL_METRICS_EXPORTER.*OTEL_METRIC_EXPORT_INTERVAL"):
        Settings.from_environment(env={**env, "TELEMETRY_STRICT": "true"})
    assert len(Settings.from_environment(env={**env, "TELEMETRY_STRICT": "false"}).problems) == 2


@proves(variables.TOKEN_FILE)
def _token_file(place: Place) -> None:
    place.directory.mkdir(mode=0o700)
    file = place.directory / "token"
    file.write_text("first\n")
    more = {"TELEMETRY_OTLP_TOKEN_FILE": str(file), "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20abc,x=1"}
    with place.process(**more) as process:
        chat.of(process).message_sent(plan="free")
        assert process.force_flush(5.0)
        assert (place.sink.headers["authorization"], place.sink.headers["x"]) == ("Bearer first", "1")
        file.write_text("second")
        chat.of(process).message_sent(plan="free")
        assert process.force_flush(5.0)
        assert place.sink.headers["authorization"] == "Bearer second"
        for wrong in ("", "two\nlines", "\N{SNOWMAN}"):
            file.write_text(wrong)
            chat.of(process).message_sent(plan="free")
            assert not process.force_flush(5.0)
        file.write_text("third")
        assert process.force_flush(5.0)
    assert place.sink.total(MESSAGES) == 5
    assert "TELEMETRY_OTLP_TOKEN_FILE gives the token" in place.ignored("OTEL_EXPORTER_OTLP_HEADERS")
    assert "abc" not in place.ignored("OTEL_EXPORTER_OTLP_HEADERS")
    place.exports(TELEMETRY_OTLP_TOKEN_FILE="relative")
    assert "an absolute path" in place.problem("TELEMETRY_OTLP_TOKEN_FILE")


@proves(
    variables.PROMETHEUS_CERTIFICATE,
    variables.PROMETHEUS_KEY,
    variables.PROMETHEUS_CLIENT_CA,
    variables.PROMETHEUS_TOKEN_FILE,
)
def _readers(place: Place) -> None:
    names = ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA", "TOKEN_FILE")
    env = {f"TELEMETRY_PROMETHEUS_{name}": f"/etc/{name}" for name in names}
    readers = Settings.from_environment(env=env).readers  # what they do: tests/telemetry/pipeline/test_access.py
    assert readers == Readers(*(Path(f"/etc/{name}") for name in names))
    assert Settings.from_environment(env={}).readers == Readers()
