"""Errors as the vendors word them; when they happen is ``fate``'s business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.simulated_llm.fate import Fate
from deploy.simulated_llm.models import Provider

_OPENAI_TYPES = {
    401: "invalid_request_error",
    403: "insufficient_permissions",
    429: "requests",
    500: "server_error",
    502: "server_error",
    503: "service_unavailable",
    504: "timeout",
    529: "server_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SENTENCES = {
    401: "Incorrect API key provided (simulated).",
    429: "Rate limit reached for requests (simulated). Please try again in 1s.",
    500: "The server had an error while processing your request (simulated). Sorry about that!",
    503: "The engine is currently overloaded (simulated), please try again later.",
    529: "Overloaded (simulated).",
}


class VendorError(Exception):
    """An error to answer with.

    Attributes:
        status: The HTTP status.
        message: For people.
        code: For programs that use OpenAI's API.
        param: The part of the request that is wrong.
        model: What the ledger counts it under.
        headers: To send along.
        fate: What else goes wrong before it is sent.
        first: Seconds until it is sent.
    """

    def __init__(
        self, status: int, message: str = "", *, code: str | None = None, param: str | None = None, model: str = ""
    ) -> None:
        self.status = status
        self.message = message or _SENTENCES.get(status, f"This is a simulated error with status {status}.")
        self.code = code
        self.param = param
        self.model = model
        self.fate = Fate()
        self.first = 0.0
        self.headers: Mapping[str, str] = {"retry-after": "1"} if status == 429 else {}
        super().__init__(self.message)


def error_body(provider: Provider, error: VendorError, request_id: str) -> dict[str, Any]:
    """The JSON that a provider answers an error with."""
    if provider == "anthropic":
        kind = _ANTHROPIC_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": request_id}
    kind = _OPENAI_TYPES.get(error.status, "invalid_request_error")
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}
