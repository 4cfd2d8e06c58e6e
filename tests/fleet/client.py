"""A client of the chat API that keeps the truth: what was asked by which route, and what came back."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

Answer = tuple[str, str, str]


@dataclass
class ChatClient:
    """Calls the API; ``truth`` counts the answers by method, route template and status."""

    http: httpx.Client
    admin_token: str
    truth: Counter[Answer] = field(default_factory=Counter)

    def call(self, method: str, route: str, key: str | None = None, **options: Any) -> httpx.Response:
        """One request; ``route`` is the template, its parameters are in ``path``."""
        path = route.format(**options.pop("path", {}))
        headers = {"X-API-Key": key} if key else {}
        answer = self.http.request(method, path, headers=headers | options.pop("headers", {}), **options)
        self.truth[method, options.get("counted_as", route), str(answer.status_code)] += 1
        return answer

    def create_user(self, plan: str) -> str:
        """A user's API key."""
        body = {"name": f"{plan} user", "plan": plan}
        answer = self.call("POST", "/api/v1/users", json=body, headers={"X-Admin-Token": self.admin_token})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["api_key"])

    def start_conversation(self, message: str, key: str | None = None) -> dict[str, Any]:
        """A conversation whose reply a worker writes."""
        answer = self.call("POST", "/api/v1/chat/conversations", key, json={"message": message})
        assert answer.status_code == 202, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def finish(self, task_id: str, key: str | None = None, seconds: float = 40.0) -> dict[str, Any]:
        """The task's last state."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.call("GET", "/api/v1/tasks/{task_id}", key, path={"task_id": task_id})
            body: dict[str, Any] = answer.json()
            if body.get("state") in {"succeeded", "failed"} or time.monotonic() > deadline:
                return body
            time.sleep(0.1)
