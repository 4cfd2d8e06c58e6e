"""A reply streamed while it is written, and stored at the end however that end comes; SSE is `app.sse`'s business."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import anyio
from sqlalchemy import update

import telemetry
from app.db import Sessions
from app.faults import AppError
from app.llm import ChatVendor
from app.models import Message, MessageStatus
from app.reply_cache import AsyncReplyCache, cache_key
from app.services import prompts
from app.services.conversations import Exchange
from app.settings import Settings

STORE_SECONDS = 10.0
_CUT_OFF = "The client went away before the reply was complete."
_UNEXPECTED = "The reply failed unexpectedly."


@dataclass(frozen=True, slots=True)
class Streamer:
    """What streaming a reply needs."""

    sessions: Sessions
    vendor: ChatVendor
    cache: AsyncReplyCache
    settings: Settings

    async def stream(self, exchange: Exchange) -> AsyncGenerator[str, None]:
        """Yield the reply's pieces; whatever happens, the stored message says how it ended."""
        pieces: list[str] = []
        ending: str | None = _CUT_OFF
        try:
            async with aclosing(self._pieces(exchange)) as parts:
                async for piece in parts:
                    pieces.append(piece)
                    yield piece
            ending = None
        except AppError as error:
            ending = error.fault.message
            raise
        except Exception:
            ending = _UNEXPECTED
            raise
        finally:
            # The client going away cancels this task; the ending is written all the same, within a bound.
            with anyio.CancelScope(shield=True), anyio.move_on_after(STORE_SECONDS):
                await self._store(exchange, "".join(pieces), ending)

    async def _pieces(self, exchange: Exchange) -> AsyncGenerator[str, None]:
        prompt = await self._prompt(exchange)
        provider, model = self.settings.llm_provider, self.settings.llm_model
        key = cache_key(provider, model, prompt)
        if (cached := await self.cache.get(key)) is not None:
            telemetry.get().llm.cache_hit(provider=provider, model=model)
            yield cached
            return
        pieces = []
        async with aclosing(self.vendor.stream(prompt)) as parts:
            async for piece in parts:
                pieces.append(piece)
                yield piece
        await self.cache.put(key, "".join(pieces))

    async def _prompt(self, exchange: Exchange) -> list[dict[str, str]]:
        async with self.sessions() as session:
            before = prompts.history(exchange.conversation.id, exchange.reply.id)
            return prompts.build((await session.scalars(before)).all())

    async def _store(self, exchange: Exchange, text: str, error: str | None) -> None:
        status = MessageStatus.COMPLETE if error is None else MessageStatus.FAILED
        values = {"content": text, "status": status, "error": error}
        async with self.sessions() as session:
            await session.execute(update(Message).where(Message.id == exchange.reply.id).values(values))
            await session.commit()
