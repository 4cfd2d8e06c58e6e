"""Errors in the shape of the vendors' APIs."""

from __future__ import annotations

from starlette.responses import JSONResponse

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
}
SIMULATED = {"x-simulated": "true"}


class VendorError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, *, api: str = "openai") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.api = api

    def response(self) -> JSONResponse:
        """The answer, in the shape of the API that was called."""
        kind = TYPES.get(self.status, "api_error")
        body: dict[str, object] = {"error": {"message": self.message, "type": kind, "param": None, "code": None}}
        if self.api == "anthropic":
            body = {"type": "error", "error": {"type": kind, "message": self.message}}
        headers = SIMULATED | ({"retry-after": "1"} if self.status == 429 else {})
        return JSONResponse(body, self.status, headers)
