"""Conversations and their messages, as the app reads and writes them; replies are written elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.faults import not_found
from app.models import (
    Conversation,
    Job,
    Message,
    MessageStatus,
    Role,
    User,
    new_id,
    now,
)

TITLE_LENGTH = 80
REPLY_TASK = "chat.generate_reply"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user's message, the reply that is to be written, and where both belong."""

    conversation: Conversation
    message: Message
    reply: Message
    job: Job | None
    is_new: bool


async def start(session: AsyncSession, user: User, text: str) -> Exchange:
    """Open a conversation with its first message."""
    conversation = Conversation(id=new_id(), user_id=user.id, title=" ".join(text.split())[:TITLE_LENGTH])
    session.add(conversation)
    await session.flush()
    return await _exchange(session, user, conversation, text, with_job=True, is_new=True)


async def add(
    session: AsyncSession, user: User, conversation: Conversation, text: str, *, with_job: bool = True
) -> Exchange:
    """Add a message to a conversation; a streamed reply needs no job."""
    touched = update(Conversation).where(Conversation.id == conversation.id).values(updated_at=now())
    await session.execute(touched)
    return await _exchange(session, user, conversation, text, with_job=with_job, is_new=False)


async def _exchange(
    session: AsyncSession, user: User, conversation: Conversation, text: str, *, with_job: bool, is_new: bool
) -> Exchange:
    message = Message(conversation_id=conversation.id, role=Role.USER, status=MessageStatus.COMPLETE, content=text)
    session.add(message)
    await session.flush()
    reply = Message(conversation_id=conversation.id, role=Role.ASSISTANT, status=MessageStatus.PENDING, content="")
    session.add(reply)
    await session.flush()
    job = Job(id=new_id(), user_id=user.id, name=REPLY_TASK, message_id=reply.id) if with_job else None
    if job is not None:
        session.add(job)
    await session.commit()
    return Exchange(conversation, message, reply, job, is_new)


async def undo(session: AsyncSession, exchange: Exchange) -> None:
    """Take back an exchange whose task could not be queued, as if the request had never come."""
    if exchange.job is not None:
        await session.execute(delete(Job).where(Job.id == exchange.job.id))
    if exchange.is_new:
        await session.execute(delete(Conversation).where(Conversation.id == exchange.conversation.id))
    else:
        await session.execute(delete(Message).where(Message.id.in_([exchange.message.id, exchange.reply.id])))
    await session.commit()


async def get(session: AsyncSession, user: User, conversation_id: str) -> Conversation:
    """Return a user's conversation.

    Raises:
        AppError: 404.
    """
    own = select(Conversation).where(Conversation.id == conversation_id, Conversation.user_id == user.id)
    conversation = await session.scalar(own)
    if conversation is None:
        raise not_found("conversation")
    return conversation


async def messages(session: AsyncSession, conversation: Conversation) -> Sequence[Message]:
    """Return the messages of a conversation, oldest first."""
    of_it = select(Message).where(Message.conversation_id == conversation.id).order_by(Message.id)
    return (await session.scalars(of_it)).all()


async def page(session: AsyncSession, user: User, limit: int, offset: int) -> tuple[Sequence[Conversation], int]:
    """Return a page of a user's conversations, the latest first, and how many there are."""
    own = Conversation.user_id == user.id
    latest = select(Conversation).where(own).order_by(Conversation.updated_at.desc(), Conversation.id)
    found = (await session.scalars(latest.limit(limit).offset(offset))).all()
    total = await session.scalar(select(func.count()).select_from(Conversation).where(own))
    return found, total or 0


async def remove(session: AsyncSession, user: User, conversation_id: str) -> None:
    """Delete a user's conversation with its messages."""
    conversation = await get(session, user, conversation_id)
    await session.execute(delete(Conversation).where(Conversation.id == conversation.id))
    await session.commit()
