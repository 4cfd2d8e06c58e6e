"""Server-sent events: a stream of text pieces as a response; where the pieces come from is not its business."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.errors import body, report

# NGINX would otherwise collect the pieces and pass them on at the end.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


# One event of the stream, as OpenAPI describes it.
EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {"event": {"enum": ["delta", "done", "error"]}, "data": {"type": "string"}},
}


class EventStream(StreamingResponse):
    """A response of events that always closes its source, also when the client goes away."""

    # FastAPI documents this default; a `media_type` of the class it would document for refusals too.
    def __init__(
        self, events: AsyncGenerator[bytes, None], source: AsyncGenerator[str, None], status_code: int = 200
    ) -> None:
        super().__init__(events, status_code, _HEADERS, "text/event-stream")
        self._events = events
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._events.aclose()
                await self._source.aclose()


async def begin(pieces: AsyncGenerator[str, None], done: Mapping[str, Any]) -> EventStream:
    """Return the response, once the first piece is there: what fails before that is an ordinary HTTP error."""
    first = await anext(pieces, None)
    return EventStream(_events(first, pieces, done), pieces)


async def _events(
    first: str | None, pieces: AsyncGenerator[str, None], done: Mapping[str, Any]
) -> AsyncGenerator[bytes, None]:
    try:
        if first is not None:
            yield _event("delta", {"text": first})
        async for piece in pieces:
            yield _event("delta", {"text": piece})
    except Exception as error:  # reported to the client below
        # The status line is long gone; the client learns of the failure here.
        yield _event("error", body(report(error)))
    else:
        yield _event("done", done)


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return format_sse_event(event=name, data_str=json.dumps(data, ensure_ascii=False))
