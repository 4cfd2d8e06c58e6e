"""One user of the chat backend: knows the API, counts every answer by method, route and status."""

from __future__ import annotations

import asyncio
import io
import random
import wave
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

CHATS = "/api/v1/chat/conversations"
TASK_SECONDS = 30.0


@dataclass
class Truth:
    """What was done: answers by method, route template and status, and requests that got none."""

    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def table(self) -> str:
        """The counts for people."""
        rows = [f"{'method':<8}{'route':<62}{'status':<9}{'count':>6}"]
        rows += [
            f"{method:<8}{route:<62}{status:<9}{count:>6}"
            for (method, route, status), count in sorted(self.answers.items())
        ]
        return "\n".join([*rows, f"{sum(self.answers.values())} requests"])

    def as_json(self) -> list[dict[str, Any]]:
        """The counts for a program."""
        return [
            {"method": method, "route": route, "status": status, "count": count}
            for (method, route, status), count in sorted(self.answers.items())
        ]


class User:
    """A user with a plan, or without a key."""

    def __init__(self, http: httpx.AsyncClient, truth: Truth, key: str | None, plan: str) -> None:
        self._http = http
        self._truth = truth
        self._headers = {"X-API-Key": key} if key else {}
        self.plan = plan

    async def call(self, method: str, route: str, **options: Any) -> httpx.Response | None:
        """One request to a route template; ``None`` where no answer came."""
        path = route.format(**options.pop("path", {}))
        headers = self._headers | options.pop("headers", {})
        try:
            answer = await self._http.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            self._truth.answers[method, route, type(error).__name__] += 1
            return None
        self._truth.answers[method, route, str(answer.status_code)] += 1
        return answer

    async def start(self, message: str) -> str | None:
        """Start a conversation and wait for the reply; its id."""
        body = await self._accepted(await self.call("POST", CHATS, json={"message": message}))
        return None if body is None else str(body["conversation"]["id"])

    async def proceed(self, conversation: str, message: str) -> None:
        """Continue a conversation and wait for the reply."""
        path = {"conversation_id": conversation}
        route = f"{CHATS}/{{conversation_id}}/messages"
        await self._accepted(await self.call("POST", route, path=path, json={"message": message}))

    async def stream(self, conversation: str, message: str, leave_early: bool = False) -> None:
        """Stream a reply, to its end or not."""
        route = f"{CHATS}/{{conversation_id}}/messages/stream"
        url = route.format(conversation_id=conversation)
        status = "left"
        try:
            async with self._http.stream("POST", url, json={"message": message}, headers=self._headers) as answer:
                async for _ in answer.aiter_lines():
                    if leave_early:
                        break
                else:
                    status = str(answer.status_code)
        except httpx.HTTPError as error:
            status = type(error).__name__
        self._truth.answers["POST", route, status] += 1

    async def look_around(self, conversation: str) -> None:
        """List the conversations and read one."""
        await self.call("GET", CHATS)
        await self.call("GET", f"{CHATS}/{{conversation_id}}", path={"conversation_id": conversation})

    async def draw(self, prompt: str) -> None:
        """Have an image generated."""
        await self._accepted(await self.call("POST", "/api/v1/images", json={"prompt": prompt}))

    async def dictate(self, seconds: float) -> None:
        """Have a recording transcribed."""
        files = {"file": ("note.wav", recording(seconds), "audio/wav")}
        await self._accepted(await self.call("POST", "/api/v1/audio/transcriptions", files=files))

    async def keep_file(self, data: bytes, remove: bool) -> None:
        """Upload a file, list, download and perhaps delete it."""
        answer = await self.call("POST", "/api/v1/files", files={"file": ("data.bin", data)})
        await self.call("GET", "/api/v1/files")
        if answer is None or answer.status_code != httpx.codes.CREATED:
            return
        path = {"file_id": answer.json()["id"]}
        await self.call("GET", "/api/v1/files/{file_id}", path=path)
        if remove:
            await self.call("DELETE", "/api/v1/files/{file_id}", path=path)

    async def misbehave(self, draw: random.Random) -> None:
        """Something that a backend must refuse."""
        match draw.randrange(5):
            case 0:
                await self.call("GET", "/api/v2/nothing/here")
            case 1:
                await self.call("POST", CHATS, json={"message": "hello"}, headers={"X-API-Key": "wrong"})
            case 2:
                await self.call("POST", CHATS, content=b"{", headers={"Content-Type": "application/json"})
            case 3:
                await self.call("PUT", CHATS, json={})
            case _:
                await self.call("POST", "/api/v1/files", files={"file": ("big.bin", bytes(11 * 1024 * 1024))})

    async def hurry(self, times: int) -> None:
        """More images at once than the plan allows."""
        body = {"prompt": "the same thing again"}
        await asyncio.gather(*(self.call("POST", "/api/v1/images", json=body) for _ in range(times)))

    async def _accepted(self, answer: httpx.Response | None) -> dict[str, Any] | None:
        """The body of an accepted task, once the task has ended."""
        if answer is None or answer.status_code != httpx.codes.ACCEPTED:
            return None
        body: dict[str, Any] = answer.json()
        deadline = asyncio.get_running_loop().time() + TASK_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            state = await self.call("GET", "/api/v1/tasks/{task_id}", path={"task_id": body["task_id"]})
            if state is None or state.json().get("state") in {"succeeded", "failed"}:
                break
            await asyncio.sleep(0.5)
        return body


def recording(seconds: float) -> bytes:
    """A WAV file of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(1)
        wav.setframerate(8000)
        wav.writeframes(b"\x80" * int(8000 * seconds))
    return file.getvalue()
