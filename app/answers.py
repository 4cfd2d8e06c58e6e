"""What an operation may answer besides success, as its description says it; what makes it answer so is elsewhere."""

from __future__ import annotations

from typing import Any

from app.schemas import ErrorShown

_MEANINGS = {
    400: "The body cannot be read.",
    401: "The key or token is not known.",
    403: "Creating users is switched off: `ADMIN_TOKEN` is not set.",
    404: "There is no such thing, or it is another user's.",
    413: "The body is larger than allowed, or the file does not fit the plan's storage.",
    422: "The input cannot be used; the message says why.",
    429: "The plan's rate limit for this endpoint is reached; `Retry-After` says for how long.",
    502: "The LLM vendor could not be used.",
    503: "The database, Redis, the task queue or the file store cannot be reached.",
    504: "The LLM vendor did not answer in time.",
}

Answers = dict[int | str, dict[str, Any]]


def refusals(*statuses: int) -> Answers:
    """Answers with these statuses, for `responses=` of a route or router."""
    return {status: {"model": ErrorShown, "description": _MEANINGS[status]} for status in statuses}


def success(media_type: str, schema: dict[str, Any], description: str) -> Answers:
    """An answer 200 that is no JSON."""
    return {200: {"content": {media_type: {"schema": schema}}, "description": description}}


# What any operation of an identified user may answer, and what sending a body adds.
ALWAYS = refusals(401, 422, 429, 503)
WITH_BODY = refusals(400, 413)
