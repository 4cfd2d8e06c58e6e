"""A known number of actions through the front door, and the collector's totals: equal, not close."""

from __future__ import annotations

import math
from collections import Counter

import httpx
import pytest

from deploy.fleet import Fleet
from tests.fleet.client import ChatClient, recording
from tests.fleet.conftest import eventually
from tests.fleet.endpoint import Endpoint

ROUTES = "/api/v1/chat/conversations"
AUDIO_SECONDS = 6.0
FILE = b"x" * 1234


@pytest.fixture(scope="module")
def actions(fleet: Fleet) -> ChatClient:
    """Everything the backend can do, a known number of times; finished when it returns."""
    http = httpx.Client(base_url=fleet.settings.url("NGINX_PORT"), timeout=30)
    client = ChatClient(http, fleet.secrets()["ADMIN_TOKEN"])
    keys = {plan: client.create_user(plan) for plan in ("free", "pro", "enterprise")}
    tasks = _talk(client, keys)
    tasks += _make_media(client, keys)
    _move_files(client, keys)
    _misbehave(client, keys)
    for key, task in tasks:
        assert client.finish(task, key)["state"] == "succeeded"
    return client


def _talk(client: ChatClient, keys: dict[str, str]) -> list[tuple[str, str]]:
    tasks = []
    for number, (plan, key) in enumerate(keys.items(), 1):
        for turn in range(number):
            begun = client.start_conversation(f"Question {turn} of a {plan} user", key)
            tasks.append((key, begun["task_id"]))
            path = {"conversation_id": begun["conversation"]["id"]}
            assert client.finish(begun["task_id"], key)["state"] == "succeeded"
            body = {"message": f"And then, {plan} {turn}?"}
            with client.http.stream(
                "POST", f"{ROUTES}/{path['conversation_id']}/messages/stream", json=body, headers={"X-API-Key": key}
            ) as stream:
                events = [line for line in stream.iter_lines() if line.startswith("event:")]
            client.truth["POST", f"{ROUTES}/{{conversation_id}}/messages/stream", "200"] += 1
            assert events[-1] == "event: done"
            client.call("GET", f"{ROUTES}/{{conversation_id}}", key, path=path)
        client.call("GET", ROUTES, key)
    return tasks


def _make_media(client: ChatClient, keys: dict[str, str]) -> list[tuple[str, str]]:
    key = keys["pro"]
    image = client.call("POST", "/api/v1/images", key, json={"prompt": "a lighthouse"})
    audio = client.call(
        "POST", "/api/v1/audio/transcriptions", key, files={"file": ("a.wav", recording(AUDIO_SECONDS), "audio/wav")}
    )
    return [(key, answer.json()["task_id"]) for answer in (image, audio)]


def _move_files(client: ChatClient, keys: dict[str, str]) -> None:
    key = keys["enterprise"]
    for number in range(3):
        stored = client.call("POST", "/api/v1/files", key, files={"file": (f"{number}.bin", FILE)})
        assert stored.status_code == 201, stored.text
    path = {"file_id": stored.json()["id"]}
    assert client.call("GET", "/api/v1/files/{file_id}", key, path=path).content == FILE
    client.call("DELETE", "/api/v1/files/{file_id}", key, path=path)


def _misbehave(client: ChatClient, keys: dict[str, str]) -> None:
    for number in range(4):
        client.call("GET", f"/nothing/here/{number}")
    client.call("PUT", ROUTES, keys["free"], json={})
    client.call("POST", ROUTES, "not-a-key", json={"message": "hello"})
    client.call("POST", ROUTES, keys["free"], content=b"{", headers={"Content-Type": "application/json"})
    answers = [client.call("POST", "/api/v1/images", keys["free"], json={"prompt": ""}) for _ in range(5)]
    assert Counter(answer.status_code for answer in answers)[429] >= 1


def _http_truth(client: ChatClient) -> dict[tuple[str, str, str], float]:
    truth: Counter[tuple[str, str, str]] = Counter()
    for (method, route, status), count in client.truth.items():
        truth[method, "unmatched" if route.startswith("/nothing") else route, status] += count
    return dict(truth)


def _http_counted(endpoint: Endpoint) -> dict[tuple[str, str, str], float]:
    return {
        (labels["method"], labels["endpoint"], labels["status_code"]): value
        for labels, value in ((dict(key), value) for key, value in endpoint.series("http_requests_total").items())
        if value and labels["endpoint"] not in {"/health", "/ready"}
    }


def test_http_requests_are_exact(actions: ChatClient, endpoint: Endpoint) -> None:
    """Three replicas behind NGINX: each request is counted once, by route template and status."""
    truth = _http_truth(actions)
    assert eventually(lambda: _http_counted(endpoint), lambda counted: counted == truth) == truth


def test_durations_match_requests(actions: ChatClient, endpoint: Endpoint) -> None:
    """Every counted request has a duration, and none more."""
    requests = endpoint.total("http_requests_total")
    same = eventually(lambda: endpoint.total("http_request_duration_seconds"), lambda count: count == requests)
    assert same == endpoint.total("http_requests_total")


def test_tasks_are_exact(actions: ChatClient, endpoint: Endpoint) -> None:
    """Four workers: each task is submitted once and completed once, on the queue of its plan."""
    truth = {"low": 1.0, "medium": 2.0 + 2.0, "high": 3.0}
    for metric in ("celery_tasks_submitted_total", "celery_tasks_completed_total", "celery_task_duration_seconds"):

        def counted(metric: str = metric) -> dict[str, float]:
            return {queue: endpoint.total(metric, queue=queue) for queue in truth}

        assert eventually(counted, lambda value: value == truth) == truth, metric
    assert endpoint.total("celery_tasks_failed_total") == 0


def test_business_is_exact(actions: ChatClient, endpoint: Endpoint) -> None:
    """Messages by plan, images, minutes of audio, files and bytes are what the actions were."""
    for plan, begun in (("free", 1), ("pro", 2), ("enterprise", 3)):
        assert endpoint.total("messages_sent_total", user_plan=plan) == 2 * begun
    assert endpoint.total("images_generated_total") == 1
    assert math.isclose(endpoint.total("audio_transcribed_minutes_total"), AUDIO_SECONDS / 60)
    bucket = {dict(key)["bucket"] for key in endpoint.series("storage_operations_total")}
    assert endpoint.total("storage_bytes_transferred_total", operation="download") >= len(FILE), bucket


def test_llm_equals_the_vendors_ledger(actions: ChatClient, endpoint: Endpoint, fleet: Fleet) -> None:
    """Tokens and calls are what the vendor billed, streams included."""
    ledger = httpx.get(fleet.settings.url("LLM_PORT", "/simulated/ledger")).json()
    hits = endpoint.total("llm_cache_hits_total")
    assert endpoint.total("llm_requests_total") - hits == ledger["requests_total"]
    for token_type, key in (("prompt", "prompt"), ("cached", "cached"), ("completion", "completion")):
        assert endpoint.total("llm_tokens_used_total", type=token_type) == ledger["tokens_total"][key], token_type
    assert endpoint.total("llm_cost_usd_total") > 0


def test_facts_are_not_multiplied(actions: ChatClient, endpoint: Endpoint) -> None:
    """Three replicas report the same facts: each stands once, as it is."""
    users = eventually(lambda: endpoint.total("users_active", plan="pro"), lambda value: value == 1)
    assert users == 1
    assert len(endpoint.series("conversations_active")) == 1
    workers = eventually(lambda: endpoint.total("celery_active_workers"), lambda value: value == 4)
    assert workers == 4
    queues = {dict(key)["queue"]: value for key, value in endpoint.series("celery_queue_length").items()}
    assert queues == {"high": 0, "medium": 0, "low": 0}


def test_nothing_stays_in_progress(actions: ChatClient, endpoint: Endpoint) -> None:
    """When all is answered, no request is in progress anywhere."""
    done = eventually(lambda: endpoint.total("http_requests_in_progress"), lambda value: value == 0)
    assert done == 0
