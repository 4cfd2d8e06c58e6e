"""What users, clients and senders write, in every field they have: it is on no page, in no label, no log and no box of the fleet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from celery import Celery
from kombu import Exchange, Producer, Queue

from deploy.fleet import Fleet
from support.waiting import eventually
from support.wav import silence
from tests.fleet.client import ChatClient
from tests.fleet.endpoint import Endpoint
from tests.support.sender import Sender

CHAT = "/api/v1/chat/conversations"
MARK = "canary7f3a91"


class _Canaries:
    """A word for each field, which tells the field where it is found."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def of(self, field: str) -> str:
        return f"{MARK}-{next(self._numbers)}-{field}"


class _OfFleet:
    """Where the fleet's collector takes exports."""

    def __init__(self, fleet: Fleet) -> None:
        self.endpoint = fleet.settings.url("OTELCOL_HTTP_PORT", "")


@pytest.fixture(scope="module")
def written(fleet: Fleet, endpoint: Endpoint) -> None:
    """A canary in every field of every endpoint; finished when everything of it is counted."""
    canaries = _Canaries()
    before = endpoint.total("http_requests_total", endpoint="unmatched")
    with httpx.Client(base_url=fleet.settings.url("NGINX_PORT"), timeout=30) as http:
        client = ChatClient(http, fleet.secrets()["ADMIN_TOKEN"])
        _speak(client, canaries)
        _ask_for_nothing(http, canaries)
        _break_rules(http, client.create_user("free"), canaries)
        unmatched = 5
        for _ in range(unmatched):
            http.get(f"/nothing/{canaries.of('path')}", params={"q": canaries.of("query")}, headers=_headers(canaries))
        _choose_models(http, client.create_user("pro"), canaries)
    failed = endpoint.total("celery_task_exceptions_total")
    sent = _publish(fleet, canaries)
    _export(_OfFleet(fleet), canaries)
    assert eventually(lambda: endpoint.total("http_requests_total", endpoint="unmatched") >= before + unmatched, 30)
    assert eventually(lambda: endpoint.total("errors_total", component="tests") >= 1, 30)
    assert eventually(lambda: endpoint.total("celery_task_exceptions_total") >= failed + sent, 60)


def _headers(canaries: _Canaries) -> dict[str, str]:
    names = ("User-Agent", "Referer", "X-Request-Id", "Cookie", "Authorization", "Accept-Language", "Traceparent")
    return {name: canaries.of(name) for name in (*names, "X-Forwarded-For", "X-Forwarded-Host")}


def _speak(client: ChatClient, canaries: _Canaries) -> None:
    """What users say, as they should."""
    named = client.http.post(
        "/api/v1/users",
        json={"name": canaries.of("user"), "plan": "pro"},
        headers={"X-Admin-Token": client.admin_token},
    )
    key = named.json()["api_key"]
    begun = client.start_conversation(canaries.of("message"), key)
    assert client.finish(begun["task_id"], key)["state"] == "succeeded"
    path = f"{CHAT}/{begun['conversation']['id']}/messages"
    headers = {"X-API-Key": key, **_headers(canaries)}
    with client.http.stream(
        "POST", f"{path}/stream", json={"message": canaries.of("stream")}, headers=headers
    ) as stream:
        assert "event: done" in list(stream.iter_lines())
    image = client.http.post("/api/v1/images", json={"prompt": canaries.of("prompt")}, headers=headers)
    audio = {"file": (canaries.of("audio") + ".wav", silence(1), "audio/wav")}
    heard = client.http.post("/api/v1/audio/transcriptions", files=audio, headers=headers)
    for answer in (image, heard):
        assert client.finish(answer.json()["task_id"], key)["state"] == "succeeded"
    file = {"file": (canaries.of("filename"), canaries.of("content").encode(), f"text/{MARK}")}
    assert client.http.post("/api/v1/files", files=file, headers=headers).status_code == 201


def _ask_for_nothing(http: httpx.Client, canaries: _Canaries) -> None:
    """Things that are not there, by words of the client's own."""
    for path in (CHAT, "/api/v1/files", "/api/v1/tasks", "/docs", "/runbooks", "/metrics", "/_front"):
        for method in ("GET", "DELETE", "POST", canaries.of("method").replace("-", "")):
            address = f"{path}/{canaries.of('id')}"
            http.request(
                method, address, params={canaries.of("name"): canaries.of("value")}, headers=_headers(canaries)
            )


def _break_rules(http: httpx.Client, key: str, canaries: _Canaries) -> None:
    """Requests that are refused, in each way there is."""
    keys = ({"X-API-Key": key}, {"X-API-Key": canaries.of("key")}, {"X-Admin-Token": canaries.of("token")})
    for headers in keys:
        http.post("/api/v1/users", json={"name": canaries.of("user"), "plan": canaries.of("plan")}, headers=headers)
        http.get(CHAT, params={"limit": canaries.of("limit")}, headers=headers)
        http.post(CHAT, json={canaries.of("field"): canaries.of("text")}, headers=headers)
        http.post(CHAT, content=f'{{"message": "{canaries.of("json")}'.encode(), headers=headers)
        http.post(CHAT, content=canaries.of("form"), headers={**headers, "Content-Type": f"text/{MARK}"})
        http.post("/api/v1/files", files={canaries.of("part"): (canaries.of("filename"), b"x")}, headers=headers)
    with suppress(httpx.HTTPError):
        http.post(
            CHAT,
            content=bytes(200_000_000),
            headers={"User-Agent": canaries.of("large"), "Referer": canaries.of("large")},
        )
    http.get("/health", headers={"Host": canaries.of("host").replace("-", "")})


def _choose_models(http: httpx.Client, key: str, canaries: _Canaries) -> None:
    """Which model answers is the backend's own choice: what a user says of it counts nowhere."""
    for path, field in ((CHAT, "message"), ("/api/v1/images", "prompt")):
        chosen = {name: canaries.of(name) for name in ("model", "provider", "tool_choice", "user", "table")}
        tools = [{"type": "function", "function": {"name": canaries.of("tool"), "arguments": canaries.of("argument")}}]
        http.post(path, json={field: canaries.of(field), **chosen, "tools": tools}, headers={"X-API-Key": key})


def _publish(fleet: Fleet, canaries: _Canaries) -> int:
    """What somebody who reaches the broker says to workers: how many tasks fail by it.

    A task that a worker has registered is a label by its name; nobody else's is.
    """
    url = fleet.settings.url("REDIS_PORT", "/1").replace("http://", "redis://")
    sender = Celery(broker=url, set_as_current=False)
    sender.conf.task_queues = [Queue("low", routing_key="low")]

    def send(name: str, *args: str, **kwargs: str) -> None:
        about = {canaries.of("header"): canaries.of("header"), "origin": canaries.of("origin")}
        sender.send_task(name, args, kwargs, queue="low", headers=about, shadow=canaries.of("shadow"))

    for _ in range(3):
        send(canaries.of("task"), canaries.of("argument"), **{canaries.of("keyword"): canaries.of("value")})
    send("chat.generate_reply", canaries.of("number"))
    send("chat.generate_reply", canaries.of("argument"), canaries.of("argument"))
    send("media.transcribe_audio", canaries.of("key"), **{canaries.of("keyword"): canaries.of("value")})
    with sender.connection_for_write() as connection, connection.channel() as channel:
        unreadable = Producer(channel, exchange=Exchange(""), routing_key="low", auto_declare=False)
        unreadable.publish(
            canaries.of("body"), content_type=f"text/{MARK}", headers={"task": canaries.of("task"), "id": "1"}
        )
        unreadable.publish({canaries.of("body"): canaries.of("body")}, headers={MARK: canaries.of("header")})
    sender.close()
    return 6


def _export(fleet: _OfFleet, canaries: _Canaries) -> None:
    """What a sender says of itself, in its resource and scope, and what comes with its points and is no label."""
    about = {
        name: canaries.of(name)
        for name in ("service.name", "host.name", "process.command_args", "user.id", "db.statement")
    }
    sender = Sender(
        fleet, canaries.of("instance"), numbered=canaries.of("sender"), resource=about, unit=canaries.of("unit")
    )
    request = sender.request_of_counter("errors_total", 1, {"error_type": "Other", "component": "tests"})
    scope = request.resource_metrics[0].scope_metrics[0]
    scope.scope.name, scope.scope.version, scope.schema_url = (canaries.of("scope") for _ in range(3))
    scope.scope.attributes.add(key=canaries.of("key")).value.string_value = canaries.of("attribute")
    exemplar = scope.metrics[0].sum.data_points[0].exemplars.add(as_double=1, time_unix_nano=1)
    exemplar.filtered_attributes.add(key="user.id").value.string_value = canaries.of("exemplar")
    assert sender.send(request).status_code == 200
    assert sender.send(canaries.of("garbage").encode()).status_code == 400


def _found(text: str) -> list[str]:
    return sorted({line.strip()[:300] for line in text.splitlines() if MARK in line.lower()})[:5]


@pytest.mark.parametrize("port", ["OTELCOL_TOTALS_PORT", "OTELCOL_LEVELS_PORT", "OTELCOL_METRICS_PORT", "NGINX_PORT"])
def test_pages_are_clean(port: str, fleet: Fleet, written: None) -> None:
    """No page of metrics has a word of them."""
    assert _found(httpx.get(fleet.settings.url(port, "/metrics"), timeout=30).text) == []


def test_prometheus_knows_none(fleet: Fleet, written: None) -> None:
    """No series that Prometheus ever saw has one in its name or in a label."""
    url = fleet.settings.url("PROMETHEUS_PORT", "/api/v1/series")
    series = httpx.get(url, params={"match[]": '{__name__=~".+"}'}, timeout=60).json()["data"]
    assert len(series) > 100
    assert [each for each in series if MARK in str(each).lower()] == []


def test_logs_are_clean(fleet: Fleet, written: None) -> None:
    """No process has logged one: neither a replica, a worker, the collector nor NGINX."""
    logs = sorted(fleet.settings.logs.glob("*.log*"))
    assert {"nginx.log", "app-1.log", "worker-high.log", "otel-collector.log"} & {path.name for path in logs}
    found = {path.name: _found(path.read_text(errors="replace")) for path in logs}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_boxes_are_clean(fleet: Fleet, written: None) -> None:
    """No process has kept one in its box."""
    boxes = list(_files(fleet.settings.boxes))
    assert boxes
    assert [path.name for path in boxes if MARK.encode() in path.read_bytes()] == []


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file())
