"""Label types that several domains share; no metric is declared here."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from telemetry.catalogue._spec import Budget

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "QUERY", "_OTHER"]
Endpoint = Annotated[
    str, Budget(500, "route templates beyond those that the application declares; `unmatched` for no route")
]
StatusCode = Annotated[str, Budget(100, "HTTP status codes; 499 when the client left first")]
TaskName = Annotated[str, Budget(200, "tasks registered with Celery")]
Queue = Annotated[str, Budget(50, "queues declared in the Celery application")]
Provider = Annotated[str, Budget(20, "LLM vendors the application calls")]
Model = Annotated[str, Budget(100, "models the application calls")]
Plan = Annotated[str, Budget(50, "plans that the application sells")]
Pool = Annotated[str, Budget(20, "database engines of the process")]


class NoLabels(TypedDict):
    """A metric with no label of its own."""
