"""Writing the reply to a message, in a worker; the streamed reply is `app.services.streaming`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

import telemetry
from app.db import sync_session
from app.llm import chat_vendor
from app.models import Conversation, Message, MessageStatus, now
from app.redis_clients import sync_redis
from app.reply_cache import ReplyCache, cache_key
from app.services import jobs, prompts
from app.settings import get_settings


def generate(job_id: str, message_id: int) -> dict[str, Any]:
    """Write the pending message `message_id` and return the job's result."""
    with sync_session() as session:
        prompt = _prompt(session, message_id)
    text, cached = _reply(prompt)
    with sync_session() as session:
        message = _message(session, message_id)
        result = {
            "conversation_id": message.conversation_id,
            "message_id": message_id,
            "reply": text,
            "cached": cached,
        }
        _store(session, message, text)
        jobs.succeed(session, job_id, result)
    return result


def _message(session: Session, message_id: int) -> Message:
    message = session.get(Message, message_id)
    if message is None:
        raise jobs.Gone("the conversation was deleted before the reply was written")
    return message


def _prompt(session: Session, message_id: int) -> list[dict[str, str]]:
    message = _message(session, message_id)
    return prompts.build(session.scalars(prompts.history(message.conversation_id, message_id)).all())


def _reply(prompt: list[dict[str, str]]) -> tuple[str, bool]:
    """Return the reply and whether it came from the cache."""
    settings = get_settings()
    cache = ReplyCache(sync_redis(), settings)
    key = cache_key(settings.llm_provider, settings.llm_model, prompt)
    if (cached := cache.get(key)) is not None:
        telemetry.get().llm.cache_hit(provider=settings.llm_provider, model=settings.llm_model)
        return cached, True
    text = chat_vendor().complete(prompt)
    cache.put(key, text)
    return text, False


def _store(session: Session, message: Message, text: str) -> None:
    written = {"content": text, "status": MessageStatus.COMPLETE, "error": None}
    session.execute(update(Message).where(Message.id == message.id).values(written))
    touched = update(Conversation).where(Conversation.id == message.conversation_id)
    session.execute(touched.values(updated_at=now()))
