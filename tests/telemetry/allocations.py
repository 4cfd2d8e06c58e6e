"""A process that counts events of every kind again and again, and says how many objects it had after each round; `test_allocations.py` reads it."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable, Mapping

import httpx
import openai
from celery import Celery
from fastapi import FastAPI
from sqlalchemy import StaticPool, create_engine, text

import telemetry

ROUNDS = 5
EVENTS = 500
"""Of each kind in a round."""

_COMPLETION = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}


def _requests() -> Callable[[], None]:
    app = FastAPI()
    app.get("/things/{number}")(lambda number: {"number": number})
    telemetry.instrument(app)
    transport = httpx.ASGITransport(app)

    async def ask() -> None:
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            for number in range(EVENTS):
                await client.get(f"/things/{number}")

    return lambda: asyncio.run(ask())


def _queries() -> Callable[[], None]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    telemetry.instrument_sqlalchemy(engine)

    def ask() -> None:
        for number in range(EVENTS):
            with engine.begin() as connection:
                connection.execute(text("SELECT :number"), {"number": number})

    return ask


def _nothing() -> None:
    """A task."""


def _tasks() -> Callable[[], None]:
    app = Celery("allocations", broker="memory://")
    telemetry.instrument_celery(app)
    app.task(name="allocations.nothing")(_nothing)

    def publish() -> None:
        for _ in range(EVENTS):
            app.send_task("allocations.nothing")
        app.control.purge()

    return publish


def _calls() -> Callable[[], None]:
    vendor = httpx.MockTransport(lambda request: httpx.Response(200, json=_COMPLETION))
    client = openai.OpenAI(
        api_key="none", base_url="http://vendor.invalid/v1", http_client=httpx.Client(transport=vendor)
    )

    @telemetry.llm_call(provider="openai")
    def ask(model: str) -> object:
        return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "?"}])

    def call() -> None:
        for _ in range(EVENTS):
            ask(model="gpt-4o-mini")

    return call


def _after_each_round(act: Callable[[], None]) -> list[int]:
    found = []
    for _ in range(ROUNDS):
        act()
        gc.collect()
        found.append(sys.getallocatedblocks())
    return found


if __name__ == "__main__":
    telemetry.configure(service_name="allocations")
    kinds: Mapping[str, Callable[[], Callable[[], None]]] = {
        "requests": _requests,
        "queries": _queries,
        "tasks": _tasks,
        "calls": _calls,
    }
    sys.stdout.write(json.dumps({kind: _after_each_round(made()) for kind, made in kinds.items()}))
    telemetry.shutdown()
