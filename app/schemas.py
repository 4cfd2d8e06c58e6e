"""What requests and responses look like; no behaviour."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from app.models import JobState, MessageStatus, Role
from app.plans import Plan


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be blank")
    # PostgreSQL cannot store it, and no person types it.
    if "\x00" in text:
        raise PydanticCustomError("nul", "must not contain NUL characters")
    return text


def _known_plan(value: object) -> object:
    if value not in list(Plan):
        plans = ", ".join(Plan)
        raise PydanticCustomError("unknown_plan", "there is no such plan; the plans are {plans}", {"plans": plans})
    return value


class ErrorTold(BaseModel):
    """What went wrong: a short name, and a sentence for people."""

    type: str
    message: str


class ErrorShown(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorTold


class Readiness(BaseModel):
    """Whether all that requests need is there, and what is missing."""

    status: Literal["ok", "unavailable"]
    missing: list[Literal["database", "redis", "broker"]]


Text = Annotated[str, Field(min_length=1, max_length=8000), AfterValidator(_not_blank)]
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_not_blank)]


class NewUser(BaseModel):
    """A user to create."""

    name: Name
    plan: Annotated[Plan, BeforeValidator(_known_plan)] = Plan.FREE


class CreatedUser(BaseModel):
    """A created user; the key is shown this once."""

    id: str
    name: str
    plan: Plan
    api_key: str


class NewMessage(BaseModel):
    """A message to send."""

    message: Text


class NewImage(BaseModel):
    """An image to draw."""

    prompt: Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_not_blank)]


class Shown(BaseModel):
    """A row of the database as clients see it."""

    model_config = ConfigDict(from_attributes=True)


class MessageShown(Shown):
    """A message."""

    id: int
    role: Role
    status: MessageStatus
    content: str
    error: str | None
    created_at: datetime


class ConversationShown(Shown):
    """A conversation without its messages."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime


class ConversationRead(ConversationShown):
    """A conversation with its messages."""

    messages: list[MessageShown]


class ConversationPage(BaseModel):
    """A page of conversations."""

    items: list[ConversationShown]
    total: int
    limit: int
    offset: int


class TaskAccepted(BaseModel):
    """A task that was queued, and where its state can be read."""

    task_id: str
    poll_url: str


class MessageAccepted(TaskAccepted):
    """A message that was sent; its reply is on the way."""

    conversation: ConversationShown
    message: MessageShown
    reply: MessageShown


class TaskShown(BaseModel):
    """The state of a task, with its result or its error once it has ended."""

    task_id: str
    name: str
    state: JobState
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime
    updated_at: datetime


class FileShown(Shown):
    """A stored file."""

    id: str
    name: str
    content_type: str
    size: int
    created_at: datetime
    expires_at: datetime


class FilePage(BaseModel):
    """A page of files, and how much of the quota is used."""

    items: list[FileShown]
    limit: int
    offset: int
    storage_used_bytes: int
    storage_quota_bytes: int
