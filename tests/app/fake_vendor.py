"""A vendor that does what a test tells it to; for realistic behaviour there is `deploy/simulated_llm`."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
USAGE = {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}


@dataclass
class Vendor:
    """What the vendor does next, and what it was asked.

    Attributes:
        failures: Statuses to answer with, one a call, before it works again.
        delay: Seconds before each answer.
        word_delay: Seconds before each further word of a stream.
        breaks_stream: Whether a stream ends in the middle.
        asked: The bodies of the chat calls.
    """

    failures: list[int] = field(default_factory=list)
    delay: float = 0.0
    word_delay: float = 0.0
    breaks_stream: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    def reset(self) -> None:
        """Become a good vendor again."""
        self.failures, self.delay, self.word_delay = [], 0.0, 0.0
        self.breaks_stream, self.asked = False, []

    async def trouble(self) -> Response | None:
        """Wait as told, and return the failure that is due."""
        await asyncio.sleep(self.delay)
        if not self.failures:
            return None
        return JSONResponse({"error": {"message": "told to fail"}}, self.failures.pop(0))


def make_app(vendor: Vendor) -> FastAPI:  # noqa: C901 - a route each
    """Return the vendor's HTTP API."""
    app = FastAPI()

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: Request) -> Response:
        body = await request.json()
        vendor.asked.append(body)
        if (failure := await vendor.trouble()) is not None:
            return failure
        text = f"echo: {body['messages'][-1]['content']}"
        if body.get("stream"):
            return StreamingResponse(_openai_stream(vendor, text), media_type="text/event-stream")
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return JSONResponse(_completion("chat.completion") | {"choices": [choice], "usage": USAGE})

    @app.post("/v1/messages", response_model=None)
    async def messages(request: Request) -> Response:
        body = await request.json()
        vendor.asked.append(body)
        if (failure := await vendor.trouble()) is not None:
            return failure
        text = f"echo: {body['messages'][-1]['content']}"
        if body.get("stream"):
            return StreamingResponse(_anthropic_stream(text), media_type="text/event-stream")
        return JSONResponse(_anthropic_message([{"type": "text", "text": text}]))

    @app.post("/v1/images/generations", response_model=None)
    async def images() -> Response:
        if (failure := await vendor.trouble()) is not None:
            return failure
        return JSONResponse({"created": 1, "data": [{"b64_json": base64.b64encode(PNG).decode()}]})

    @app.post("/v1/audio/transcriptions", response_model=None)
    async def transcriptions() -> Response:
        if (failure := await vendor.trouble()) is not None:
            return failure
        return JSONResponse({"text": "hello there", "language": "english", "duration": 12.5, "task": "transcribe"})

    return app


def _completion(kind: str) -> dict[str, Any]:
    return {"id": "c1", "object": kind, "created": 1, "model": "gpt-4o-mini"}


async def _openai_stream(vendor: Vendor, text: str) -> AsyncIterator[str]:
    for word in text.split(" "):
        delta = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
        yield _data(_completion("chat.completion.chunk") | {"choices": [delta]})
        if vendor.breaks_stream:
            yield _data({"error": {"message": "told to break", "type": "server_error"}})
            return
        await asyncio.sleep(vendor.word_delay)
    yield _data(_completion("chat.completion.chunk") | {"choices": [], "usage": USAGE})
    yield "data: [DONE]\n\n"


def _data(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


def _anthropic_message(content: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 4},
    }


async def _anthropic_stream(text: str) -> AsyncIterator[str]:
    block = {"index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"index": 0, "delta": {"type": "text_delta", "text": text}}
    ended = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 4}}
    for kind, body in (
        ("message_start", {"message": _anthropic_message([])}),
        ("content_block_start", block),
        ("content_block_delta", delta),
        ("content_block_stop", {"index": 0}),
        ("message_delta", ended),
        ("message_stop", {}),
    ):
        yield f"event: {kind}\n{_data({'type': kind, **body})}"
