"""Conversations: start, list, read, continue, stream, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app import answers
from app.auth import CurrentUser, Db
from app.faults import AppError
from app.models import User
from app.recorders import business
from app.resources import Held, Resources
from app.routes.tasks import poll_url
from app.schemas import (
    ConversationPage,
    ConversationRead,
    ConversationShown,
    MessageAccepted,
    MessageShown,
    NewMessage,
)
from app.services import conversations
from app.services.conversations import Exchange
from app.sse import EVENT, EventStream, begin

router = APIRouter(prefix="/api/v1/chat/conversations", tags=["chat"], responses=answers.ALWAYS)

_OF_ONE = answers.refusals(404)
_EVENTS = answers.success("text/event-stream", EVENT, "The reply's pieces as events.")

Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]


@router.post("", status_code=202, responses=answers.WITH_BODY)
async def start_conversation(body: NewMessage, user: CurrentUser, session: Db, held: Held) -> MessageAccepted:
    """Open a conversation; the reply is written by a worker."""
    exchange = await conversations.start(session, user, body.message)
    return await _send(exchange, user, session, held)


@router.get("")
async def list_conversations(user: CurrentUser, session: Db, limit: Limit = 20, offset: Offset = 0) -> ConversationPage:
    """List the caller's conversations, the latest first."""
    found, total = await conversations.page(session, user, limit, offset)
    items = [ConversationShown.model_validate(conversation) for conversation in found]
    return ConversationPage(items=items, total=total, limit=limit, offset=offset)


@router.get("/{conversation_id}", responses=_OF_ONE)
async def read_conversation(conversation_id: str, user: CurrentUser, session: Db) -> ConversationRead:
    """Read a conversation with its messages."""
    conversation = await conversations.get(session, user, conversation_id)
    shown = ConversationShown.model_validate(conversation)
    messages = await conversations.messages(session, conversation)
    return ConversationRead(**dict(shown), messages=[MessageShown.model_validate(m) for m in messages])


@router.post("/{conversation_id}/messages", status_code=202, responses=_OF_ONE | answers.WITH_BODY)
async def continue_conversation(
    conversation_id: str, body: NewMessage, user: CurrentUser, session: Db, held: Held
) -> MessageAccepted:
    """Add a message; the reply is written by a worker."""
    conversation = await conversations.get(session, user, conversation_id)
    exchange = await conversations.add(session, user, conversation, body.message)
    return await _send(exchange, user, session, held)


@router.post(
    "/{conversation_id}/messages/stream",
    response_class=EventStream,
    responses=_OF_ONE | _EVENTS | answers.WITH_BODY | answers.refusals(502, 504),
)
async def stream_reply(
    conversation_id: str, body: NewMessage, user: CurrentUser, session: Db, held: Held
) -> EventStream:
    """Add a message and stream the reply: events `delta` {text}, then `done` or `error`."""
    conversation = await conversations.get(session, user, conversation_id)
    exchange = await conversations.add(session, user, conversation, body.message, with_job=False)
    business.message_sent(user.plan)
    done = {"conversation_id": conversation.id, "message_id": exchange.reply.id}
    return await begin(held.streamer.stream(exchange), done)


@router.delete("/{conversation_id}", status_code=204, responses=_OF_ONE)
async def delete_conversation(conversation_id: str, user: CurrentUser, session: Db) -> Response:
    """Delete a conversation with its messages."""
    await conversations.remove(session, user, conversation_id)
    return Response(status_code=204)


async def _send(exchange: Exchange, user: User, session: Db, held: Resources) -> MessageAccepted:
    """Queue the reply; a queue that is down takes the message back, so that the client may send it again."""
    assert exchange.job is not None
    try:
        await held.publisher.publish(exchange.job.name, exchange.job.id, user.plan, [exchange.reply.id])
    except AppError:
        await conversations.undo(session, exchange)
        raise
    business.message_sent(user.plan)
    return MessageAccepted(
        task_id=exchange.job.id,
        poll_url=poll_url(exchange.job.id),
        conversation=ConversationShown.model_validate(exchange.conversation),
        message=MessageShown.model_validate(exchange.message),
        reply=MessageShown.model_validate(exchange.reply),
    )
