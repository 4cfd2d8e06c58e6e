"""Bad input and broken parts: clear errors without stack traces, counted once, and the process lives on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.db import sync_engine
from tests.app.conftest import ADMIN, Counts, RedisServer, down
from tests.app.fake_vendor import Vendor
from tests.app.queue_tools import Queues

CONVERSATIONS = "/api/v1/chat/conversations"
USERS = "/api/v1/users"
JSON = {"content-type": "application/json"}


def _error(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert error["message"]
    assert "Traceback" not in response.text
    return response.status_code, error["type"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("content", "headers", "kind", "text"),
    [
        (b'{"message": ', JSON, "MalformedJson", "not valid JSON"),
        (b'{"message": ""}', JSON, "InvalidInput", "message"),
        (b'{"message": "  "}', JSON, "InvalidInput", "blank"),
        (b'{"massage": "x"}', JSON, "InvalidInput", "message: Field required"),
        (b'{"message": "a\\u0000b"}', JSON, "InvalidInput", "NUL"),
        (b"[]", JSON, "InvalidInput", "body"),
        (
            b'{"message": "x"}',
            {"content-type": "application/x-www-form-urlencoded"},
            "InvalidInput",
            "Content-Type",
        ),
    ],
)
async def test_bad_body_is_explained(
    client: httpx.AsyncClient, counts: Counts, content: bytes, headers: dict[str, str], kind: str, text: str
) -> None:
    """A body that cannot be used is answered with 422 and a sentence that says why."""
    response = await client.post(CONVERSATIONS, content=content, headers=headers)
    assert _error(response) == (422, kind)
    assert text in response.json()["error"]["message"]
    assert counts.errors() == {("http", kind): 1}


@pytest.mark.asyncio
async def test_unknown_plan_is_named(client: httpx.AsyncClient, counts: Counts) -> None:
    """A plan that does not exist is refused with the names of those that do."""
    response = await client.post(USERS, json={"name": "a", "plan": "gold"}, headers=ADMIN)
    assert _error(response) == (422, "UnknownPlan")
    assert "free, pro, enterprise" in response.json()["error"]["message"]
    assert counts.errors() == {("http", "UnknownPlan"): 1}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers", [{"X-API-Key": "nope"}, {"Authorization": "Bearer no"}, {"Authorization": "Basic x"}]
)
async def test_wrong_key_refused(client: httpx.AsyncClient, counts: Counts, headers: dict[str, str]) -> None:
    """A key that is not known never falls back to an anonymous user."""
    response = await client.get(CONVERSATIONS, headers=headers)
    assert _error(response) == (401, "InvalidApiKey")
    assert response.headers["www-authenticate"] == "Bearer"
    assert counts.errors() == {("auth", "InvalidApiKey"): 1}


@pytest.mark.asyncio
@pytest.mark.parametrize("headers", [{}, {"X-Admin-Token": "wrong"}, {"X-Admin-Token": b"wr\xf6ng"}])
async def test_users_need_admin(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Only the admin token creates users."""
    response = await client.post(USERS, json={"name": "a", "plan": "free"}, headers=headers)
    assert _error(response) == (401, "InvalidAdminToken")


@pytest.mark.asyncio
@pytest.mark.settings(ADMIN_TOKEN="")
async def test_no_admin_by_default(client: httpx.AsyncClient) -> None:
    """Without an admin token nobody creates users, with an empty one neither."""
    response = await client.post(USERS, json={"name": "a", "plan": "free"}, headers={"X-Admin-Token": ""})
    assert _error(response) == (403, "AdminDisabled")


@pytest.mark.asyncio
async def test_keys_are_hashed(client: httpx.AsyncClient, database: Path, new_user: Callable[[str], Any]) -> None:
    """The database holds no API key, and the key works in either header."""
    key = (await new_user("pro"))["X-API-Key"]
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        assert (await client.get(CONVERSATIONS, headers=headers)).status_code == 200
    files = [database, database.with_name("chat.db-wal")]
    assert not any(key.encode() in file.read_bytes() for file in files if file.exists())


@pytest.mark.asyncio
@pytest.mark.settings(RATE_LIMITS='{"free": {"/api/v1/chat/conversations/{conversation_id}": "2/minute"}}')
async def test_rate_limit_per_endpoint(
    client: httpx.AsyncClient, counts: Counts, new_user: Callable[[str], Any]
) -> None:
    """The limit of a plan on an endpoint is kept, with the seconds to wait, and touches no other plan or endpoint."""
    statuses = [(await client.get(f"{CONVERSATIONS}/{i}")).status_code for i in range(3)]
    refused = await client.get(f"{CONVERSATIONS}/4")
    assert (statuses, _error(refused)) == ([404, 404, 429], (429, "RateLimitExceeded"))
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    assert (await client.get(CONVERSATIONS)).status_code == 200
    assert (await client.get(f"{CONVERSATIONS}/1", headers=await new_user("pro"))).status_code == 404
    labels = {"endpoint": "/api/v1/chat/conversations/{conversation_id}", "plan": "free"}
    assert (counts.of("rate_limit_exceeded_total", **labels), counts.errors()) == (2, {})


async def _start_stream(client: httpx.AsyncClient) -> httpx.Response:
    conversation = (await client.post(CONVERSATIONS, json={"message": "hi"})).json()["conversation"]["id"]
    return await client.post(f"{CONVERSATIONS}/{conversation}/messages/stream", json={"message": "more"})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("failures", "delay", "expected", "counted"),
    [
        ([500], 0.0, (502, "VendorError"), "InternalServerError"),
        ([429], 0.0, (502, "VendorError"), "RateLimitError"),
        ([400], 0.0, (502, "VendorError"), "BadRequestError"),
        pytest.param(
            [], 1.0, (504, "VendorTimeout"), "APITimeoutError", marks=pytest.mark.settings(LLM_TIMEOUT_SECONDS="0.2")
        ),
    ],
)
async def test_vendor_trouble_while_streaming(
    client: httpx.AsyncClient,
    vendor: Vendor,
    counts: Counts,
    failures: list[int],
    delay: float,
    expected: tuple[int, str],
    counted: str,
) -> None:
    """A vendor that fails before the first word is an ordinary 502 or 504, counted once, where the call is."""
    vendor.failures, vendor.delay = failures, delay
    assert _error(await _start_stream(client)) == expected
    assert counts.errors() == {("llm", counted): 1}


@pytest.mark.asyncio
async def test_task_survives_vendor(client: httpx.AsyncClient, queues: Queues, vendor: Vendor, counts: Counts) -> None:
    """A task is tried again after vendor errors, and each failed call is counted."""
    vendor.failures = [503, 429]
    accepted = (await client.post(CONVERSATIONS, json={"message": "hi"})).json()
    await queues.work()
    assert (await client.get(accepted["poll_url"])).json()["state"] == "succeeded"
    assert counts.errors() == {("llm", "InternalServerError"): 1, ("llm", "RateLimitError"): 1}


@pytest.mark.asyncio
@pytest.mark.parametrize(("failures", "calls"), [([500] * 9, 4), ([400] * 9, 1)])
async def test_task_finally_fails(
    client: httpx.AsyncClient, queues: Queues, vendor: Vendor, failures: list[int], calls: int
) -> None:
    """A reply that fails for good is stored as failed with a reason, after no more retries than make sense."""
    vendor.failures = failures
    accepted = (await client.post(CONVERSATIONS, json={"message": "hi"})).json()
    await queues.work()
    task = (await client.get(accepted["poll_url"])).json()
    assert (task["state"], task["result"]) == ("failed", None)
    assert "openai answered with status" in task["error"]
    read = (await client.get(f"{CONVERSATIONS}/{accepted['conversation']['id']}")).json()
    assert (read["messages"][-1]["status"], read["messages"][-1]["error"]) == ("failed", task["error"])
    assert len(vendor.asked) == calls


@pytest.fixture
def redis_down(client: httpx.AsyncClient, redis_server: RedisServer) -> Iterator[RedisServer]:
    """Redis is down for the rest of the test."""
    redis_server.stop()
    yield redis_server
    redis_server.start()


@pytest.mark.asyncio
async def test_redis_down_refuses_tasks(client: httpx.AsyncClient, redis_down: RedisServer, counts: Counts) -> None:
    """What needs the queue is refused quickly and leaves nothing behind; the rest works, without limits and cache."""
    began = time.monotonic()
    refused = await client.post(CONVERSATIONS, json={"message": "hi"})
    assert (_error(refused), time.monotonic() - began < 5) == ((503, "QueueUnavailable"), True)
    listed = await client.get(CONVERSATIONS)
    assert (listed.status_code, listed.json()["total"]) == (200, 0)
    reading_the_broker = ("celery", "ConnectionError")  # at a collection, when this process is the one that reads it
    errors = {key: count for key, count in counts.errors().items() if key != reading_the_broker}
    assert errors == {("celery", "QueueUnavailable"): 1, ("redis", "ConnectionError"): 2}
    assert counts.of("messages_sent_total") == 0


@pytest.mark.asyncio
async def test_redis_comes_back(client: httpx.AsyncClient, redis_server: RedisServer, queues: Queues) -> None:
    """When Redis is back, the same process queues tasks again."""
    redis_server.stop()
    assert (await client.post(CONVERSATIONS, json={"message": "hi"})).status_code == 503
    redis_server.start()
    assert (await client.post(CONVERSATIONS, json={"message": "hi"})).status_code == 202
    assert len(queues.take()) == 1


@pytest.mark.asyncio
async def test_database_down_is_clear(
    client: httpx.AsyncClient, backend: FastAPI, database: Path, counts: Counts
) -> None:
    """Without its database every endpoint says so with 503; back again, the same process serves again."""
    await backend.state.resources.engine.dispose()
    with down(database):
        assert _error(await client.get(CONVERSATIONS)) == (503, "DatabaseUnavailable")
        assert counts.errors()["database", "DatabaseUnavailable"] == 1
    assert (await client.get(CONVERSATIONS)).status_code == 200


@pytest.mark.asyncio
async def test_task_without_database(
    client: httpx.AsyncClient, queues: Queues, database: Path, vendor: Vendor, counts: Counts
) -> None:
    """A task that cannot reach the database is tried again, and each try is counted as a database error."""
    await client.post(CONVERSATIONS, json={"message": "hi"})
    sync_engine().dispose()
    with down(database):
        outcomes = await queues.work()
    assert (outcomes[0].failed(), vendor.asked) == (True, [])
    assert counts.errors() == {("database", "DatabaseUnavailable"): 4}


@pytest.mark.asyncio
async def test_storage_down_is_clear(client: httpx.AsyncClient, tmp_path: Path, counts: Counts) -> None:
    """A store that refuses is a 503, and the reserved bytes are given back."""
    (tmp_path / "storage" / "user-files").write_text("in the way")
    response = await client.post("/api/v1/files", files={"file": ("a", b"abc")})
    assert _error(response) == (503, "StorageUnavailable")
    assert (await client.get("/api/v1/files")).json()["storage_used_bytes"] == 0
    assert counts.errors() == {("storage", "StorageUnavailable"): 1}


@pytest.mark.asyncio
async def test_unexpected_error_is_generic(client: httpx.AsyncClient, backend: FastAPI, counts: Counts) -> None:
    """An exception nobody expected is a plain 500 without details, counted once."""

    @backend.get("/boom")
    async def boom() -> None:
        raise ZeroDivisionError("secret detail")

    response = await client.get("/boom")
    assert _error(response) == (500, "InternalError")
    assert "secret" not in response.text
    assert counts.errors() == {("http", "ZeroDivisionError"): 1}


@pytest.mark.asyncio
async def test_unknown_paths_are_json(client: httpx.AsyncClient, counts: Counts) -> None:
    """A path or method that does not exist is answered in the same shape, and is no error of ours."""
    assert _error(await client.get("/nothing")) == (404, "HttpError")
    assert _error(await client.put(CONVERSATIONS)) == (405, "HttpError")
    assert counts.errors() == {}


@pytest.mark.asyncio
async def test_ready_names_missing(client: httpx.AsyncClient, redis_server: RedisServer) -> None:
    """Readiness names what is missing, while the process itself stays healthy."""
    assert (await client.get("/ready")).json() == {"status": "ok", "missing": []}
    redis_server.stop()
    response = await client.get("/ready")
    assert (response.status_code, response.json()["missing"]) == (503, ["redis", "broker"])
    assert (await client.get("/health")).status_code == 200
    redis_server.start()
    assert (await client.get("/ready")).status_code == 200
