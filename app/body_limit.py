"""Stops a request body that is too large before it is read; Starlette's own middleware answers in plain text."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.faults import AppError, Fault

# What multipart adds around a file, or a form of other fields.
ENVELOPE_BYTES = 64 * 1024
# Other bodies are in memory as a whole, several times while they are parsed; a file is on disk but for its beginning.
TEXT_BYTES = 1024 * 1024


def too_large(limit: int) -> AppError:
    """Return the error for a body or file over the limit."""
    text = f"The upload is larger than the {limit} bytes allowed (UPLOAD_MAX_BYTES)."
    return AppError(Fault("UploadTooLarge", text, 413, "http"))


def _too_long() -> AppError:
    text = f"The body is larger than the {TEXT_BYTES} bytes allowed."
    return AppError(Fault("BodyTooLarge", text, 413, "http"))


class BodyLimit:
    """ASGI middleware; what it raises reaches the app's own error handlers, for it raises where the body is read."""

    def __init__(self, app: ASGIApp, max_file_bytes: int) -> None:
        self._app = app
        self._max_file = max_file_bytes
        self._max_body = max_file_bytes + ENVELOPE_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        limit = self._max_body if is_form else TEXT_BYTES
        seen = 0

        def refusal() -> AppError:
            return too_large(self._max_file) if is_form else _too_long()

        async def counted() -> Message:
            nonlocal seen
            if declared.isdigit() and int(declared) > limit:
                raise refusal()
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise refusal()
            return message

        await self._app(scope, counted, send)
