"""How a conversation becomes a prompt; no vendor and no database here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select

from app.models import Message, MessageStatus

SYSTEM_PROMPT = "You are a helpful assistant. Answer briefly and say so when you do not know."
HISTORY_MESSAGES = 20


def history(conversation_id: str, before_id: int) -> Select[tuple[Message]]:
    """Select the messages that a reply answers, newest first."""
    return (
        select(Message)
        .where(
            Message.conversation_id == conversation_id,
            Message.id < before_id,
            Message.status == MessageStatus.COMPLETE,
        )
        .order_by(Message.id.desc())
        .limit(HISTORY_MESSAGES)
    )


def build(newest_first: Sequence[Message]) -> list[dict[str, str]]:
    """Return the prompt: the system's sentence, then the conversation in order."""
    turns = [{"role": message.role.value, "content": message.content} for message in reversed(newest_first)]
    return [{"role": "system", "content": SYSTEM_PROMPT}, *turns]
