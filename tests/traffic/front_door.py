"""A small front door that answers like the backend and notes what it answered; no queue, no database, no vendor."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

from fastapi import FastAPI, Request, UploadFile
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADMIN = "admin-of-the-tests"
IMAGES_ALLOWED = 10


class _Message(BaseModel):
    message: str = Field(min_length=1)


class _Notes:
    """Middleware that notes every answer by method, route template and status."""

    def __init__(self, app: ASGIApp, seen: Counter[tuple[str, str, str]]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unmatched")
                self._seen[scope["method"], route, str(message["status"])] += 1
            await send(message)

        await self._app(scope, receive, noting if scope["type"] == "http" else send)


def front_door(seen: Counter[tuple[str, str, str]]) -> FastAPI:  # noqa: C901 (one plain function an endpoint)
    """The application; it notes its answers in `seen`."""
    app = FastAPI()
    app.add_middleware(_Notes, seen=seen)
    numbers = itertools.count(1)
    images: Counter[str] = Counter()

    def accepted(**more: Any) -> JSONResponse:
        return JSONResponse({"task_id": f"{next(numbers)}"} | more, 202)

    @app.post("/api/v1/users")
    async def users(request: Request) -> Response:
        if request.headers.get("x-admin-token") != ADMIN:
            raise HTTPException(401)
        return JSONResponse({"api_key": f"key-{next(numbers)}"}, 201)

    @app.post("/api/v1/chat/conversations")
    async def start(body: _Message, request: Request) -> Response:
        if request.headers.get("x-api-key", "").startswith("wrong"):
            raise HTTPException(401)
        return accepted(conversation={"id": f"c{next(numbers)}"})

    @app.get("/api/v1/chat/conversations")
    async def conversations() -> list[str]:
        return []

    @app.get("/api/v1/chat/conversations/{conversation_id}")
    async def read(conversation_id: str) -> dict[str, str]:
        if conversation_id.startswith("none"):
            raise HTTPException(404)
        return {"id": conversation_id}

    @app.delete("/api/v1/chat/conversations/{conversation_id}")
    async def forget(conversation_id: str) -> Response:
        return Response(status_code=204)

    @app.post("/api/v1/chat/conversations/{conversation_id}/messages")
    async def proceed(conversation_id: str, body: _Message) -> Response:
        return accepted()

    @app.post("/api/v1/chat/conversations/{conversation_id}/messages/stream")
    async def stream(conversation_id: str, body: _Message) -> Response:
        async def events() -> Any:
            for number in range(20):
                yield f"event: delta\ndata: {number}\n\n"
                await asyncio.sleep(0.001)

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.get("/api/v1/tasks/{task_id}")
    async def task(task_id: str) -> dict[str, str]:
        return {"state": "succeeded"}

    @app.post("/api/v1/images")
    async def image(request: Request) -> Response:
        images[request.headers.get("x-api-key", "")] += 1
        if images[request.headers.get("x-api-key", "")] > IMAGES_ALLOWED:
            raise HTTPException(429)
        return accepted()

    @app.post("/api/v1/audio/transcriptions")
    async def transcribe(file: UploadFile) -> Response:
        return accepted()

    @app.post("/api/v1/files")
    async def upload(file: UploadFile) -> Response:
        if (file.size or 0) > 10 * 1024 * 1024:
            raise HTTPException(413)
        return JSONResponse({"id": f"f{next(numbers)}"}, 201)

    @app.get("/api/v1/files")
    async def files() -> list[str]:
        return []

    @app.get("/api/v1/files/{file_id}")
    async def download(file_id: str) -> Response:
        return Response(b"bytes")

    @app.delete("/api/v1/files/{file_id}")
    async def remove(file_id: str) -> Response:
        return Response(status_code=204)

    return app
