"""Chat by Anthropic's own client; `app.llm` imports it only when LLM_PROVIDER names it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import cached_property
from typing import Any

import anthropic

from app.llm_calls import MAX_REPLY_TOKENS, ChatMessages, vendor_call
from app.settings import Settings


class AnthropicVendor:
    """Chat by Anthropic."""

    provider = "anthropic"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _sync(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(max_retries=0, timeout=self._settings.llm_timeout_seconds)

    @cached_property
    def _async(self) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(max_retries=0, timeout=self._settings.llm_timeout_seconds)

    def load(self) -> None:
        """Load what sync calls need: the package imports most of itself at the first one."""
        _ = self._sync.messages

    def complete(self, messages: ChatMessages) -> str:
        """Return the reply, from sync code."""
        model, body = self._settings.llm_model, self._chat(messages)
        with vendor_call(anthropic, self.provider, model) as call:
            reply = self._sync.messages.create(**body)
            call.response(reply)
        return "".join(block.text for block in reply.content if block.type == "text")

    async def stream(self, messages: ChatMessages) -> AsyncGenerator[str, None]:
        """Yield the reply's pieces as they arrive."""
        model, body = self._settings.llm_model, self._chat(messages)
        with vendor_call(anthropic, self.provider, model) as call:
            async with await self._async.messages.create(**body, stream=True) as events:
                async for event in call.stream(events):
                    if event.type == "content_block_delta" and event.delta.type == "text_delta":
                        yield str(event.delta.text)

    def _chat(self, messages: ChatMessages) -> dict[str, Any]:
        system = "\n".join(message["content"] for message in messages if message["role"] == "system")
        turns = [message for message in messages if message["role"] != "system"]
        return {
            "model": self._settings.llm_model,
            "max_tokens": MAX_REPLY_TOKENS,
            "messages": turns,
            **({"system": system} if system else {}),
        }
