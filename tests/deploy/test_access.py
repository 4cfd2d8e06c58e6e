"""The collector behind TLS and tokens: who has the right ones is let in, nobody else is, and a renewal needs no restart."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from collector.gateway.__main__ import main as gateway_main
from collector.gateway.gateway import Gateway, Tls
from support import exposition
from support.collector import CONFIG, DURABLE, DURABLE_SECURE, ROOT, SECURE, Collector, running
from support.ports import free_port
from support.processes import program
from support.waiting import eventually
from telemetry import Settings
from telemetry.cli.main import main
from telemetry.pipeline.transport import TAKEN, Answer, Outcome, build_transport
from telemetry.setup import Telemetry
from tests.documentation.blocks import blocks
from tests.support import access, chat
from tests.support.access import ANY_TOKEN, DEV_TOKEN, PROD_TOKEN, SCRAPE_TOKEN, WRONG_TOKEN, Keys
from tests.support.beside import beside
from tests.support.prometheus import Prometheus
from tests.support.sender import Sender

PROTOCOLS = ("http/protobuf", "grpc")
MESSAGES = "messages_sent_total"


@dataclass(frozen=True)
class Guarded:
    """A collector, and the files of those who may come in.

    Attributes:
        collector: It.
        keys: The authority of all certificates.
        strangers: An authority that it does not trust.
        directory: Where the files are.
        is_durable: Which of the two configurations it runs.
        own: Certificate and key of a sender, where it asks for them.
    """

    collector: Collector
    keys: Keys
    strangers: Keys
    directory: Path
    is_durable: bool
    own: tuple[Path, Path] | None

    def variables(
        self, protocol: str, token: str = PROD_TOKEN, environment: str = "prod", **more: str
    ) -> dict[str, str]:
        """What a sender is told; ``CERTIFICATE=…`` and so on are of the exporter."""
        port = self.collector.ports["GRPC" if protocol == "grpc" else "HTTP"]
        certificate, key = self.own or ("", "")
        exporter = {
            "ENDPOINT": f"https://127.0.0.1:{port}",
            "PROTOCOL": protocol,
            "HEADERS": f"authorization=Bearer%20{token}" if token else "",
            "CERTIFICATE": str(self.keys.authority),
            "CLIENT_CERTIFICATE": str(certificate),
            "CLIENT_KEY": str(key),
            **more,
        }
        return {
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={environment}",
            **{f"OTEL_EXPORTER_OTLP_{name}": value for name, value in exporter.items()},
        }

    def send(self, protocol: str, name: str, token: str = PROD_TOKEN, environment: str = "prod", **more: str) -> Answer:
        """One export of a counter."""
        settings = Settings.from_environment("sender", self.variables(protocol, token, environment, **more))
        request = Sender(self.collector, "sender", environment=environment).request_of_counter(name, 1, {})
        return build_transport(settings.destination).send_encoded(request, 5.0)

    def page(self, port: str, token: str = SCRAPE_TOKEN, context: ssl.SSLContext | None = None) -> httpx.Response:
        """What a reader gets."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        context = context or self.keys.context(*(self.own or ()))
        return httpx.get(self.collector.url(port), headers=headers, verify=context, trust_env=False)

    def settles_at(self, name: str, expected: float) -> bool:
        """Whether a reader sees that much of a counter, after one more export."""
        assert self.send("http/protobuf", name).outcome is Outcome.TAKEN
        return eventually(lambda: exposition.total(exposition.parse(self.page("TOTALS").text), name) == expected + 1)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A counter of the test's own."""
    return f"counted_{sha256(request.node.name.encode()).hexdigest()[:8]}_total"


ONLY_DURABLE = pytest.mark.parametrize("guarded", [DURABLE], ids=["durable"], indirect=True)


@pytest.fixture(scope="module", params=[DURABLE, CONFIG], ids=["durable", "official"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One collector of each configuration; the durable one asks for certificates of senders and readers."""
    directory = tmp_path_factory.mktemp("keys")
    keys, strangers = Keys(directory), Keys(directory, "strangers")
    is_durable = request.param is DURABLE
    variables = access.collector_variables(keys, directory, mutual=is_durable)
    own = keys.issue("sender") if is_durable else None
    with running(request.param, variables, over=DURABLE_SECURE if is_durable else SECURE) as collector:
        yield Guarded(collector, keys, strangers, directory, is_durable, own)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_right_sender_is_counted(guarded: Guarded, name: str, protocol: str) -> None:
    """With a token, an authority and, where it is asked for, a certificate, every export is counted."""
    answers = [guarded.send(protocol, name), guarded.send(protocol, name, ANY_TOKEN)]
    assert [answer.outcome for answer in answers] == [Outcome.TAKEN] * 2, answers
    assert guarded.settles_at(name, 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("token", "said"), [("", "authorization"), (WRONG_TOKEN, "token")], ids=["no token", "unknown token"]
)
def test_wrong_token_is_told(guarded: Guarded, name: str, protocol: str, token: str, said: str) -> None:
    """Who has no token that is known is not let in, keeps its counts, and is told which setting to look at."""
    answer = guarded.send(protocol, name, token)
    assert answer.outcome is Outcome.BUSY
    assert re.search("401 Unauthorized|UNAUTHENTICATED", answer.reason)
    assert said in answer.reason
    assert "check OTEL_EXPORTER_OTLP_HEADERS" in answer.reason
    assert WRONG_TOKEN not in answer.reason
    assert guarded.settles_at(name, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_text_is_refused(guarded: Guarded, name: str, protocol: str) -> None:
    """An export without TLS reaches nobody, and the sender hears of https://."""
    endpoint = guarded.variables(protocol)["OTEL_EXPORTER_OTLP_ENDPOINT"]
    plain = {
        "ENDPOINT": endpoint.replace("https:", "http:"),
        "CERTIFICATE": "",
        "CLIENT_CERTIFICATE": "",
        "CLIENT_KEY": "",
    }
    answer = guarded.send(protocol, name, **plain)
    assert answer.outcome is not Outcome.TAKEN
    assert "TLS" in answer.reason


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_collector_is_verified(guarded: Guarded, name: str, protocol: str) -> None:
    """A collector whose authority is unknown, or that has another name, gets nothing; a sentence says which it is."""
    answer = guarded.send(protocol, name, CERTIFICATE=str(guarded.strangers.authority))
    assert answer.outcome is Outcome.UNREACHABLE
    assert "set OTEL_EXPORTER_OTLP_CERTIFICATE to that authority's" in answer.reason
    endpoint = guarded.variables(protocol)["OTEL_EXPORTER_OTLP_ENDPOINT"].replace("127.0.0.1", "localhost")
    answer = guarded.send(protocol, name, ENDPOINT=endpoint)
    assert answer.outcome is Outcome.UNREACHABLE
    assert "have one made for localhost" in answer.reason


@ONLY_DURABLE
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("which", ["none", "expired", "another authority's"])
def test_sender_is_verified(guarded: Guarded, name: str, protocol: str, which: str) -> None:
    """Where certificates of senders are asked for, one without, with an old one, or with a stranger's, is not let in."""
    made: dict[str, Callable[[], tuple[object, object]]] = {
        "none": lambda: ("", ""),
        "expired": lambda: guarded.keys.issue("expired", days=-1),
        "another authority's": lambda: guarded.strangers.issue("stranger"),
    }
    certificate, key = made[which]()
    answer = guarded.send(protocol, name, CLIENT_CERTIFICATE=str(certificate), CLIENT_KEY=str(key))
    assert answer.outcome in {Outcome.UNREACHABLE, Outcome.UNANSWERED}
    assert "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" in answer.reason
    assert guarded.settles_at(name, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_certificate_is_renewed(guarded: Guarded, name: str, protocol: str) -> None:
    """An expired certificate of the collector is told in a sentence; a new one works without a restart."""
    guarded.keys.issue("collector", days=-1)
    try:
        assert eventually(lambda: "the collector's certificate has expired" in guarded.send(protocol, name).reason)
    finally:
        guarded.keys.issue("collector")
        assert eventually(lambda: guarded.send(protocol, name).outcome is Outcome.TAKEN)


@pytest.mark.parametrize("port", ["TOTALS", "LEVELS"])
def test_pages_are_for_readers(guarded: Guarded, port: str) -> None:
    """A page is shown to who has a reader's token, over TLS; a sender's token opens none."""
    assert guarded.page(port).status_code == httpx.codes.OK
    for token in ("", WRONG_TOKEN, PROD_TOKEN):
        assert guarded.page(port, token).status_code == httpx.codes.UNAUTHORIZED
    with pytest.raises(httpx.ConnectError):
        guarded.page(port, context=guarded.strangers.context())
    if guarded.own is not None:
        with pytest.raises(httpx.HTTPError):
            guarded.page(port, context=guarded.keys.context())
    plain = guarded.collector.url(port).replace("https:", "http:")
    with suppress(httpx.HTTPError):
        assert httpx.get(plain, headers={"authorization": f"Bearer {SCRAPE_TOKEN}"}, trust_env=False).status_code == 400


@ONLY_DURABLE
def test_own_metrics_are_for_readers(guarded: Guarded) -> None:
    """The collector's own metrics are shown as its other pages are."""
    assert "fleet_totals_" in guarded.page("METRICS").text
    test_pages_are_for_readers(guarded, "METRICS")


def test_health_says_nothing_else(guarded: Guarded) -> None:
    """Health is asked over TLS, without token and certificate."""
    answer = httpx.get(guarded.collector.url("HEALTH").removesuffix("metrics"), verify=guarded.keys.context())
    assert answer.status_code == httpx.codes.OK
    assert set(answer.json()) == {"status", "upSince", "uptime"}


@ONLY_DURABLE
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("environment", ["dev", "", None], ids=["another", "empty", "none said"])
def test_token_is_for_its_environment(guarded: Guarded, name: str, protocol: str, environment: str | None) -> None:
    """An export of an environment that the token is not for is refused as a whole, with an answer that names both."""
    receiver = guarded.collector
    mixed = Sender(receiver, "a", environment="prod").request_of_counter(name, 1, {})
    mixed.MergeFrom(Sender(receiver, "b", environment=environment).request_of_counter(name, 1, {}))
    settings = Settings.from_environment("sender", guarded.variables(protocol))
    answer = build_transport(settings.destination).send_encoded(mixed, 5.0)
    assert answer.outcome is Outcome.BUSY
    assert re.search("403 Forbidden|PERMISSION_DENIED", answer.reason)
    assert (
        f'may not write the environment "{"dev" if environment is None else environment}", it may write: prod'
        in answer.reason
    )
    assert guarded.settles_at(name, 0)
    assert guarded.send(protocol, name, DEV_TOKEN, "stage").outcome is Outcome.TAKEN


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_is_lost_for_a_wrong_token(
    guarded: Guarded, name: str, protocol: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is counted while the token is wrong arrives when the file has the right one; the log has two lines of it."""
    file = tmp_path / "token"
    access.replace(file, WRONG_TOKEN.encode())
    more = {"TELEMETRY_OTLP_TOKEN_FILE": str(file), "TELEMETRY_STATE_DIR": str(tmp_path / "boxes")}
    settings = Settings.from_environment("sender", guarded.variables(protocol, token="") | more)
    process = Telemetry(settings, catalogue=chat.CHAT)
    before = exposition.total(exposition.parse(guarded.page("TOTALS").text), MESSAGES)
    try:
        for number in range(3):
            chat.of(process).message_sent(plan="free")
            assert process.force_flush(5.0) is False
            if number == 1:
                file.unlink()
        access.replace(file, f"{PROD_TOKEN}\n".encode())
        assert process.force_flush(5.0)
        assert eventually(
            lambda: exposition.total(exposition.parse(guarded.page("TOTALS").text), MESSAGES) == before + 3
        )
    finally:
        process.shutdown()
    (began, ended) = [r.getMessage() for r in caplog.records if r.name == "telemetry" and r.levelname == "WARNING"]
    assert f"check TELEMETRY_OTLP_TOKEN_FILE={file}" in began
    assert "nothing was lost" in ended
    assert WRONG_TOKEN not in caplog.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tokens_are_renewed(guarded: Guarded, name: str, protocol: str) -> None:
    """A token that is written to the file is let in without a restart, and one that is taken out is not any more."""
    file, new = guarded.directory / "tokens", "another-token-of-prod-77"
    content = file.read_bytes()
    access.replace(file, f"{new} prod\n".encode())
    try:
        assert eventually(lambda: guarded.send(protocol, name, new).outcome is Outcome.TAKEN)
        assert guarded.send(protocol, name).outcome is Outcome.BUSY
    finally:
        access.replace(file, content)
        assert eventually(lambda: guarded.send(protocol, name).outcome is Outcome.TAKEN)


@ONLY_DURABLE
def test_sender_renews_its_certificate(guarded: Guarded, name: str, tmp_path: Path) -> None:
    """A process whose certificate has expired delivers as soon as its file has a new one."""
    certificate, key = guarded.keys.issue("renewed", days=-1)
    own = {"CLIENT_CERTIFICATE": str(certificate), "CLIENT_KEY": str(key)}
    for protocol in PROTOCOLS:
        settings = Settings.from_environment("sender", guarded.variables(protocol, **own))
        transport = build_transport(settings.destination)
        request = Sender(guarded.collector, "sender").request_of_counter(name, 1, {})
        guarded.keys.issue("renewed", days=-1)
        assert transport.send_encoded(request, 5.0).outcome is not Outcome.TAKEN
        guarded.keys.issue("renewed")
        assert transport.send_encoded(request, 5.0).outcome is Outcome.TAKEN


@ONLY_DURABLE
def test_authority_of_senders_is_renewed(guarded: Guarded, name: str) -> None:
    """A second authority that is added to the file of the first one lets its senders in, without a restart."""
    certificate, key = guarded.strangers.issue("stranger")
    own, content = {"CLIENT_CERTIFICATE": str(certificate), "CLIENT_KEY": str(key)}, guarded.keys.authority.read_bytes()
    assert guarded.send("http/protobuf", name, **own).outcome is not Outcome.TAKEN
    access.replace(guarded.keys.authority, content + guarded.strangers.authority.read_bytes())
    try:
        assert eventually(lambda: guarded.send("http/protobuf", name, **own).outcome is Outcome.TAKEN)
    finally:
        access.replace(guarded.keys.authority, content)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({}, "well"),
        ({"ENDPOINT": "plain"}, "tls-expected"),
        ({"ENDPOINT": "localhost"}, "certificate-other-name"),
        ({"CERTIFICATE": "strangers"}, "certificate-untrusted"),
        ({"CLIENT_CERTIFICATE": "", "CLIENT_KEY": ""}, "own-certificate-refused"),
        ({"HEADERS": f"authorization=Bearer%20{WRONG_TOKEN}"}, "export-unauthorized"),
        ({"HEADERS": f"authorization=Bearer%20{DEV_TOKEN}"}, "export-forbidden"),
        ({"TOKEN_FILE": "/no/such/token"}, "token-unreadable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@ONLY_DURABLE
def test_doctor_explains(
    guarded: Guarded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    wrong: dict[str, str],
    code: str,
    protocol: str,
) -> None:
    """The doctor reads pages with a token and a certificate, and names first what keeps a sender out; no token is shown."""
    variables = guarded.variables(protocol)
    endpoint = variables["OTEL_EXPORTER_OTLP_ENDPOINT"]
    real = {
        "plain": endpoint.replace("https", "http"),
        "localhost": endpoint.replace("127.0.0.1", "localhost"),
        "strangers": str(guarded.strangers.authority),
    }
    names = {"TOKEN_FILE": "TELEMETRY_OTLP_TOKEN_FILE"}
    variables |= {
        names.get(name, f"OTEL_EXPORTER_OTLP_{name}"): real.get(value, value) for name, value in wrong.items()
    }
    variables |= {f"OTELCOL_{name}_PORT": str(port) for name, port in guarded.collector.ports.items()}
    for name, value in {**variables, "TELEMETRY_STATE_DIR": str(tmp_path / "boxes")}.items():
        monkeypatch.setenv(name, value)
    access.replace(tmp_path / "reader", SCRAPE_TOKEN.encode())
    main(["doctor", "--json", "--collector", "https://127.0.0.1", "--scrape-token", str(tmp_path / "reader")])
    said = capsys.readouterr().out
    findings = [finding["code"] for finding in json.loads(said)["findings"]]
    if code == "well":  # but for a fleet, of which there is none
        assert not [
            code for code in findings if re.match("cert|own|export|tls|token|collector-p|canary|.*unread", code)
        ], said
    else:
        assert findings[0] == code, said
    assert not [token for token in (PROD_TOKEN, DEV_TOKEN, SCRAPE_TOKEN, WRONG_TOKEN) if token in said]


@ONLY_DURABLE
def test_gateway_stands_between(guarded: Guarded, name: str, tmp_path: Path) -> None:
    """Behind a gateway with TLS the collector still asks for tokens, and the gateway for certificates; it shows its own to collectors."""
    certificate, key = guarded.keys.issue("gateway")
    gateway, port = Gateway(tmp_path / "gateway", program(Path("nginx"))), free_port()
    tls = Tls(certificate, key, guarded.keys.authority, guarded.keys.authority)
    gateway.configure(f"127.0.0.1:{port}", {"a": f"127.0.0.1:{guarded.collector.ports['HTTP']}"}, tls)
    process = subprocess.Popen(gateway.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    to = {"ENDPOINT": f"https://127.0.0.1:{port}"}
    try:
        assert eventually(lambda: guarded.send("http/protobuf", name, **to).outcome is Outcome.TAKEN)
        assert "401 Unauthorized" in guarded.send("http/protobuf", name, WRONG_TOKEN, **to).reason
        nobody = guarded.send("http/protobuf", name, CLIENT_CERTIFICATE="", CLIENT_KEY="", **to)
        assert nobody.outcome is not Outcome.TAKEN
        assert guarded.settles_at(name, 1)
    finally:
        process.terminate()
        process.wait()


@ONLY_DURABLE
def test_gateway_reads_renewed_certificates(guarded: Guarded, name: str, tmp_path: Path) -> None:
    """While senders export, `reload` has the gateway show a renewed certificate: each export counts once. A wrong file is refused."""
    certificate, key = guarded.keys.issue("gateway")
    port, place = free_port(), ["--directory", str(tmp_path / "gateway")]
    files = {
        "certificate": certificate,
        "key": key,
        "client-ca": guarded.keys.authority,
        "collector-ca": guarded.keys.authority,
    }
    words = [f"--{option}={file}" for option, file in files.items()]
    collector = f"--collector=a=127.0.0.1:{guarded.collector.ports['HTTP']}"
    assert gateway_main([*place, "configure", f"--listen=127.0.0.1:{port}", collector, *words]) == 0
    to = {"ENDPOINT": f"https://127.0.0.1:{port}"}
    sent: list[Answer] = []

    def send(over: threading.Event) -> None:
        while not over.is_set():
            sent.append(guarded.send("http/protobuf", name, **to))

    process = subprocess.Popen(
        Gateway(tmp_path / "gateway", program(Path("nginx"))).command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert eventually(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
        with beside(send):
            for _ in range(3):
                before, shown = len(sent), _serial(port)
                guarded.keys.issue("gateway")
                assert gateway_main([*place, "reload"]) == 0
                assert _serial(port) != shown
                assert eventually(lambda: len(sent) > before + 5)  # noqa: B023
        assert {answer.outcome for answer in sent} == {Outcome.TAKEN}
        shown = _serial(port)
        access.replace(certificate, b"no certificate")
        assert gateway_main([*place, "reload"]) == 1
        assert _serial(port) == shown
    finally:
        process.terminate()
        process.wait()
    assert guarded.settles_at(name, len(sent))


def _serial(port: int) -> str:
    """Of the certificate that is shown at a port."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)


def test_no_secret_is_logged(guarded: Guarded) -> None:
    """Whatever the collector has met, its log has no token, known or not."""
    log = guarded.collector.log()
    assert not [token for token in (PROD_TOKEN, DEV_TOKEN, ANY_TOKEN, SCRAPE_TOKEN, WRONG_TOKEN) if token in log]


@pytest.mark.parametrize("variable", ["OTELCOL_TLS_CERT", "OTELCOL_TLS_KEY", "OTELCOL_TLS_CLIENT_CA", "OTELCOL_TOKENS"])
@pytest.mark.parametrize("config", [DURABLE, CONFIG], ids=["durable", "official"])
def test_missing_file_ends_the_start(tmp_path: Path, config: Path, variable: str) -> None:
    """A collector whose certificate or tokens are missing does not start without them, and names the file."""
    variables = access.collector_variables(Keys(tmp_path), tmp_path) | {variable: str(tmp_path / "missing")}
    collector = Collector(config, variables, over=DURABLE_SECURE if config is DURABLE else SECURE)
    collector.begin()
    assert collector.ended() == 1
    last = collector.log().rpartition("Error: ")[2]
    assert str(tmp_path / "missing") in last
    collector.close()


def test_commands_of_the_page_make_it(tmp_path: Path, name: str) -> None:
    """What `docs/security.md` makes serves: a collector with it takes a sender with it, and shows Prometheus its pages."""
    [commands, *_] = blocks("docs/security.md")
    subprocess.run(["sh", "-e", "-c", commands.text], cwd=tmp_path, check=True, capture_output=True)
    secrets = tmp_path / "secrets"
    assert {path.stat().st_mode & 0o077 for path in (secrets, *secrets.iterdir())} == {0}
    collector_files = {"TLS_CERT": "collector.crt", "TLS_KEY": "collector.key", "TLS_CLIENT_CA": "ca.crt"}
    collector_files |= {"TOKENS": "tokens", "SCRAPE_TOKENS": "scrape-tokens"}
    variables = {f"OTELCOL_{name}": str(secrets / file) for name, file in collector_files.items()}
    with running(DURABLE, variables, over=DURABLE_SECURE) as collector:
        sender = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(secrets / "ca.crt"),
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(secrets / "sender.crt"),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(secrets / "sender.key"),
            "TELEMETRY_OTLP_TOKEN_FILE": str(secrets / "token"),
        }
        request = Sender(collector, "sender").request_of_counter(name, 1, {})
        settings = Settings.from_environment("sender", sender)
        assert build_transport(settings.destination).send_encoded(request, 5.0) == TAKEN
        server = Prometheus(["totals", "levels", "own"], tmp_path, jobs=_jobs(collector, secrets))
        try:
            assert eventually(server.scrapes_all)
            assert [series["value"][1] for series in server.query(name)] == ["1"]
        finally:
            server.stop()


def _jobs(collector: Collector, secrets: Path) -> list[dict[str, Any]]:
    """The shipped ones, with the collector's ports and the files' directory."""
    text = (ROOT / "grafana" / "prometheus-scrape-config.secure.yml").read_text().replace("15s", "1s")
    for port, name in ((8889, "TOTALS"), (8890, "LEVELS"), (8888, "METRICS")):
        text = text.replace(f"otel-collector:{port}", f"127.0.0.1:{collector.ports[name]}")
    jobs: list[dict[str, Any]] = yaml.safe_load(text.replace("/etc/prometheus", str(secrets)))["scrape_configs"]
    return jobs


@pytest.mark.parametrize(("config", "over"), [(DURABLE, DURABLE_SECURE), (CONFIG, SECURE)], ids=["durable", "official"])
def test_lists_have_what_they_replace(config: Path, over: Path) -> None:
    """A list of the second file replaces that of the first, so it has all of it."""
    first, second = (yaml.safe_load(path.read_text())["service"] for path in (config, over))
    assert set(first["extensions"]) <= set(second["extensions"])
    for name, pipeline in second.get("pipelines", {}).items():
        assert (
            pipeline["processors"][: len(first["pipelines"][name]["processors"])]
            == first["pipelines"][name]["processors"]
        )
