"""What the tests of this folder do to the fleet: a known number of everything."""

from __future__ import annotations

from support.wav import silence
from tests.fleet.client import ChatClient

ROUTES = "/api/v1/chat/conversations"
AUDIO_SECONDS = 6.0
IMAGES_ALLOWED = 3  # RATE_LIMITS in conftest
FILE = b"x" * 1234
FILES = 3


def perform(client: ChatClient) -> None:
    """Everything the backend can do, a known number of times; finished when it returns."""
    keys = {plan: client.create_user(plan) for plan in ("free", "pro", "enterprise")}
    tasks = _talk(client, keys)
    tasks += _make_media(client, keys)
    _move_files(client, keys)
    tasks += _misbehave(client, keys)
    for key, task in tasks:
        assert client.finish(task, key)["state"] == "succeeded"
    _ask_the_same_twice(client, keys)


def _ask_the_same_twice(client: ChatClient, keys: dict[str, str]) -> None:
    for plan in ("pro", "enterprise"):
        begun = client.start_conversation("What does everybody ask?", keys[plan])
        assert client.finish(begun["task_id"], keys[plan])["state"] == "succeeded"


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
        "POST", "/api/v1/audio/transcriptions", key, files={"file": ("a.wav", silence(AUDIO_SECONDS), "audio/wav")}
    )
    return [(key, answer.json()["task_id"]) for answer in (image, audio)]


def _move_files(client: ChatClient, keys: dict[str, str]) -> None:
    key = keys["enterprise"]
    for number in range(FILES):
        stored = client.call("POST", "/api/v1/files", key, files={"file": (f"{number}.bin", FILE)})
        assert stored.status_code == 201, stored.text
    path = {"file_id": stored.json()["id"]}
    assert client.call("GET", "/api/v1/files/{file_id}", key, path=path).content == FILE
    client.call("DELETE", "/api/v1/files/{file_id}", key, path=path)


def _misbehave(client: ChatClient, keys: dict[str, str]) -> list[tuple[str, str]]:
    for number in range(4):
        client.call("GET", f"/nothing/here/{number}")
    client.call("PUT", ROUTES, keys["free"], json={})
    client.call("POST", ROUTES, "not-a-key", json={"message": "hello"})
    client.call("POST", ROUTES, keys["free"], content=b"{", headers={"Content-Type": "application/json"})
    body = {"prompt": "a door"}
    answers = [client.call("POST", "/api/v1/images", keys["free"], json=body) for _ in range(IMAGES_ALLOWED + 2)]
    assert [answer.status_code for answer in answers] == [202] * IMAGES_ALLOWED + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    return [(keys["free"], answer.json()["task_id"]) for answer in answers[:IMAGES_ALLOWED]]
