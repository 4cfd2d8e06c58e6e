"""Conversations from the first message to the last: queued, streamed, cached, paged, deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.app.conftest import Counts
from tests.app.fake_vendor import Vendor
from tests.app.queue_tools import Queues

pytestmark = pytest.mark.asyncio

CONVERSATIONS = "/api/v1/chat/conversations"


async def _send(client: httpx.AsyncClient, text: str = "Test message", **options: Any) -> dict[str, Any]:
    response = await client.post(CONVERSATIONS, json={"message": text}, **options)
    assert response.status_code == 202, response.text
    return dict(response.json())


def _events(response: httpx.Response) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in response.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


async def test_guide_request_works(client: httpx.AsyncClient, queues: Queues, counts: Counts) -> None:
    """The guide's curl, without a key, is accepted and answered by a worker."""
    accepted = await _send(client)
    await queues.work()

    task = (await client.get(accepted["poll_url"])).json()
    assert (task["state"], task["result"]["reply"]) == ("succeeded", "echo: Test message")
    read = (await client.get(f"{CONVERSATIONS}/{accepted['conversation']['id']}")).json()
    assert [(m["role"], m["status"]) for m in read["messages"]] == [
        ("user", "complete"),
        ("assistant", "complete"),
    ]
    assert counts.of("messages_sent_total", user_plan="free") == 1
    assert counts.of("llm_requests_total", provider="openai", model="gpt-4o-mini") == 1
    assert counts.errors() == {}


@pytest.mark.parametrize(
    ("plan", "queue", "priority"), [("enterprise", "high", 0), ("pro", "medium", 3), ("free", "low", 6)]
)
async def test_plan_decides_lane(
    client: httpx.AsyncClient,
    queues: Queues,
    new_user: Callable[[str], Any],
    plan: str,
    queue: str,
    priority: int,
) -> None:
    """Each plan's messages wait in its queue with its priority, and media one step behind."""
    headers = await new_user(plan)
    await _send(client, headers=headers)
    await client.post("/api/v1/images", json={"prompt": "a cat"}, headers=headers)
    lanes = {message.task: (message.queue, message.priority) for message in queues.take()}
    assert lanes == {"chat.generate_reply": (queue, priority), "media.generate_image": (queue, priority + 3)}


async def test_continuing_sends_history(client: httpx.AsyncClient, queues: Queues, vendor: Vendor) -> None:
    """A further message is answered with the whole conversation before it."""
    conversation = (await _send(client, "first"))["conversation"]["id"]
    await queues.work()
    response = await client.post(f"{CONVERSATIONS}/{conversation}/messages", json={"message": "second"})
    assert response.status_code == 202
    await queues.work()
    said = [message["content"] for message in vendor.asked[-1]["messages"] if message["role"] != "system"]
    assert said == ["first", "echo: first", "second"]


async def test_equal_prompt_is_cached(
    client: httpx.AsyncClient, queues: Queues, vendor: Vendor, counts: Counts
) -> None:
    """The second of two equal prompts is answered from the cache, which counts as a request and a hit."""
    for _ in range(2):
        await _send(client, "same")
    results = [outcome.result["cached"] for outcome in await queues.work()]
    assert (results, len(vendor.asked)) == ([False, True], 1)
    assert counts.of("llm_requests_total") == 2
    assert counts.of("llm_cache_hits_total", provider="openai", model="gpt-4o-mini") == 1


async def _stream(client: httpx.AsyncClient, text: str = "tell me more") -> tuple[str, httpx.Response]:
    conversation = (await _send(client))["conversation"]["id"]
    path = f"{CONVERSATIONS}/{conversation}"
    return path, await client.post(f"{path}/messages/stream", json={"message": text})


@pytest.mark.parametrize(
    "provider",
    [
        "openai",
        pytest.param("anthropic", marks=pytest.mark.settings(LLM_PROVIDER="anthropic", LLM_MODEL="claude-haiku-4-5")),
    ],
)
async def test_stream_ends_stored(client: httpx.AsyncClient, counts: Counts, provider: str) -> None:
    """A reply is streamed from either vendor, stored at its end, and its tokens are counted."""
    path, response = await _stream(client)
    events = _events(response)
    text = "".join(data["text"] for name, data in events if name == "delta")
    assert (response.headers["content-type"].partition(";")[0], events[-1][0]) == (
        "text/event-stream",
        "done",
    )
    reply = (await client.get(path)).json()["messages"][-1]
    assert (reply["content"], reply["status"], reply["id"]) == (text, "complete", events[-1][1]["message_id"])
    assert text.strip() == "echo: tell me more"
    assert counts.of("llm_requests_total", provider=provider) == 1
    assert counts.of("llm_tokens_used_total", type="completion") == 4
    assert counts.of("messages_sent_total", user_plan="free") == 2


async def test_stream_uses_cache(client: httpx.AsyncClient, vendor: Vendor, counts: Counts) -> None:
    """A streamed reply to a prompt that was answered before comes from the cache."""
    _, second = [await _stream(client) for _ in range(2)]
    assert len(vendor.asked) == 1
    assert _events(second[1])[0][1]["text"].split() == "echo: tell me more".split()
    assert counts.of("llm_cache_hits_total") == 1


async def test_broken_stream_says_so(client: httpx.AsyncClient, vendor: Vendor, counts: Counts) -> None:
    """A vendor that fails in the middle of a stream ends it with an error event; the reply is kept as failed."""
    vendor.breaks_stream = True
    path, response = await _stream(client)
    assert [name for name, _ in _events(response)] == ["delta", "error"]
    assert _events(response)[-1][1]["error"]["type"] == "VendorError"
    reply = (await client.get(path)).json()["messages"][-1]
    assert (reply["status"], reply["content"]) == ("failed", "echo: ")
    assert counts.errors() == {("llm", "APIError"): 1}


async def test_client_leaving_stops_stream(client: httpx.AsyncClient, backend: FastAPI, vendor: Vendor) -> None:
    """A client that goes away in the middle ends the vendor's stream, and the reply is kept as failed."""
    vendor.word_delay = 1.0
    conversation = (await _send(client))["conversation"]["id"]
    path = f"{CONVERSATIONS}/{conversation}"
    await _leave_after_first_piece(backend, f"{path}/messages/stream", {"message": "a b c d e f g h"})
    reply = (await client.get(path)).json()["messages"][-1]
    assert (reply["status"], reply["content"]) == ("failed", "echo: ")
    assert "went away" in reply["error"]


async def _leave_after_first_piece(backend: FastAPI, path: str, body: dict[str, str]) -> None:
    """Speak ASGI to the app and disconnect after the first piece of the body."""
    gone = asyncio.Event()
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            gone.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 123),
        "server": ("test", 80),
    }
    await asyncio.wait_for(backend(scope, receive, send), 20)


async def test_lists_own_conversations(client: httpx.AsyncClient, new_user: Callable[[str], Any]) -> None:
    """Conversations are paged, the latest first, and nobody sees another user's."""
    mine, other = await new_user("pro"), await new_user("pro")
    ids = [(await _send(client, f"m{i}", headers=mine))["conversation"]["id"] for i in range(3)]
    page = (await client.get(f"{CONVERSATIONS}?limit=2", headers=mine)).json()
    assert ([item["id"] for item in page["items"]], page["total"]) == (ids[:0:-1], 3)
    assert (await client.get(CONVERSATIONS, headers=other)).json()["total"] == 0
    assert (await client.get(f"{CONVERSATIONS}/{ids[0]}", headers=other)).status_code == 404


async def test_delete_removes_conversation(client: httpx.AsyncClient, queues: Queues) -> None:
    """A deleted conversation is gone, and its waiting reply is cancelled rather than failed."""
    accepted = await _send(client)
    path = f"{CONVERSATIONS}/{accepted['conversation']['id']}"
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    outcomes = await queues.work()
    assert outcomes[0].successful()
    assert (await client.get(accepted["poll_url"])).json()["state"] == "cancelled"
