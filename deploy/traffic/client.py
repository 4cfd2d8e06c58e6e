"""One user of the chat backend: knows the API, counts every answer by method, route and status."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from support.wav import silence

CHATS = "/api/v1/chat/conversations"
KNOWN = re.compile(r"/api/v1/(?:chat/conversations|tasks|images|audio|files|users)\b")
UNMATCHED = "unmatched"
TASK_SECONDS = 30.0
POLL_SECONDS = 0.5


@dataclass
class Truth:
    """What was done.

    Attributes:
        actions: By name and plan.
        answers: Requests by method, route template and status; instead of a status ``left`` for a stream that the user
            left, or the client's error where no answer came.
    """

    actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def table(self) -> str:
        """The counts for people."""
        rows = [f"{'action':<24}{'plan':<12}{'count':>6}"]
        rows += [f"{name:<24}{plan:<12}{count:>6}" for (name, plan), count in sorted(self.actions.items())]
        rows += ["", f"{'method':<8}{'route':<62}{'status':<16}{'count':>6}"]
        rows += [
            f"{method:<8}{route:<62}{status:<16}{count:>6}"
            for (method, route, status), count in sorted(self.answers.items())
        ]
        return "\n".join([*rows, f"{self.actions.total()} actions, {self.answers.total()} requests"])

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        """The counts for a program."""
        return {
            "actions": [
                {"action": name, "plan": plan, "count": count} for (name, plan), count in sorted(self.actions.items())
            ],
            "requests": [
                {"method": method, "route": route, "status": status, "count": count}
                for (method, route, status), count in sorted(self.answers.items())
            ],
        }


class User:
    """A user with a plan, or without a key."""

    def __init__(self, http: httpx.AsyncClient, truth: Truth, key: str | None, plan: str) -> None:
        self._http = http
        self.truth = truth
        self._headers = {"X-API-Key": key} if key else {}
        self.plan = plan

    async def call(self, method: str, route: str, **options: Any) -> httpx.Response | None:
        """One request to a route template; ``None`` where no answer came.

        Args:
            method: The HTTP method.
            route: The template as the backend has it; one it does not have is counted as ``unmatched``.
            **options: For httpx; ``path`` has the values for the template.
        """
        path = route.format(**options.pop("path", {}))
        route = route if KNOWN.match(route) else UNMATCHED
        headers = self._headers | options.pop("headers", {})
        try:
            answer = await self._http.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            self.truth.answers[method, route, type(error).__name__] += 1
            return None
        self.truth.answers[method, route, str(answer.status_code)] += 1
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
        self.truth.answers["POST", route, status] += 1

    async def look_around(self, conversation: str) -> None:
        """List the conversations and read one."""
        await self.call("GET", CHATS)
        await self.call("GET", f"{CHATS}/{{conversation_id}}", path={"conversation_id": conversation})

    async def forget(self, conversation: str) -> None:
        """Delete a conversation."""
        await self.call("DELETE", f"{CHATS}/{{conversation_id}}", path={"conversation_id": conversation})

    async def draw(self, prompt: str) -> None:
        """Have an image generated."""
        await self._accepted(await self.call("POST", "/api/v1/images", json={"prompt": prompt}))

    async def dictate(self, seconds: float) -> None:
        """Have a recording transcribed."""
        files = {"file": ("note.wav", silence(seconds), "audio/wav")}
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

    async def hurry(self, prompt: str, times: int) -> None:
        """Ask for many images at once, and wait for those that are accepted."""
        body = {"prompt": prompt}
        answers = await asyncio.gather(*(self.call("POST", "/api/v1/images", json=body) for _ in range(times)))
        await asyncio.gather(*(self._accepted(answer) for answer in answers))

    async def _accepted(self, answer: httpx.Response | None) -> dict[str, Any] | None:
        """The body of an accepted task, once the task has ended."""
        if answer is None or answer.status_code != httpx.codes.ACCEPTED:
            return None
        body: dict[str, Any] = answer.json()
        deadline = time.monotonic() + TASK_SECONDS
        while time.monotonic() < deadline:
            state = await self.call("GET", "/api/v1/tasks/{task_id}", path={"task_id": body["task_id"]})
            if state is None or _ended(state):
                break
            await asyncio.sleep(POLL_SECONDS)
        return body


def _ended(state: httpx.Response) -> bool:
    return state.is_success and state.json()["state"] in {"succeeded", "failed", "cancelled"}
