"""Chat, images and transcripts by OpenAI's own client, or of a vendor that speaks its HTTP API."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import openai

from app.faults import AppError, Fault
from app.llm_calls import MAX_REPLY_TOKENS, ChatMessages, vendor_call
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a vendor heard."""

    text: str
    seconds: float
    language: str


class OpenAIVendor:
    """Chat, images and transcription by any vendor that speaks OpenAI's HTTP API."""

    provider = "openai"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _sync(self) -> openai.OpenAI:
        # max_retries=0: each call is one request, so each is counted and timed once; tasks do the retrying.
        return openai.OpenAI(max_retries=0, timeout=self._settings.llm_timeout_seconds)

    @cached_property
    def _async(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(max_retries=0, timeout=self._settings.llm_timeout_seconds)

    def load(self) -> None:
        """Load what sync calls need: the package imports most of itself at the first one."""
        _ = self._sync.chat.completions, self._sync.images, self._sync.audio.transcriptions

    def complete(self, messages: ChatMessages) -> str:
        """Return the reply, from sync code."""
        model, body = self._settings.llm_model, self._chat(messages)
        with vendor_call(openai, self.provider, model) as call:
            reply = self._sync.chat.completions.create(**body)
            call.response(reply)
        return str(reply.choices[0].message.content or "") if reply.choices else ""

    async def stream(self, messages: ChatMessages) -> AsyncGenerator[str, None]:
        """Yield the reply's pieces as they arrive."""
        model, body = self._settings.llm_model, self._chat(messages)
        body["stream_options"] = {"include_usage": True}
        with vendor_call(openai, self.provider, model) as call:
            async with await self._async.chat.completions.create(**body, stream=True) as chunks:
                async for chunk in call.stream(chunks):
                    if chunk.choices and (text := chunk.choices[0].delta.content):
                        yield str(text)

    def create_image(self, prompt: str) -> bytes:
        """Return a generated PNG, from sync code."""
        model = self._settings.image_model
        with vendor_call(openai, self.provider, model) as call:
            reply = self._sync.images.generate(model=model, prompt=prompt, n=1)
            call.response(reply)
        encoded = reply.data[0].b64_json if reply.data else None
        try:
            return base64.b64decode(encoded or "", validate=True) or _unusable("sent no image")
        except binascii.Error:
            return _unusable("sent an image that cannot be decoded")

    def transcribe(self, name: str, audio: bytes) -> Transcript:
        """Return what is said in a recording, from sync code."""
        model = self._settings.transcription_model
        with vendor_call(openai, self.provider, model) as call:
            reply = self._sync.audio.transcriptions.create(
                model=model, file=(name, audio), response_format="verbose_json"
            )
            call.response(reply)
        return Transcript(reply.text, float(reply.duration or 0.0), reply.language or "unknown")

    def _chat(self, messages: ChatMessages) -> dict[str, Any]:
        return {
            "model": self._settings.llm_model,
            "messages": list(messages),
            "max_completion_tokens": MAX_REPLY_TOKENS,
        }


def _unusable(what: str) -> bytes:
    """Refuse an answer that came with a good status; nothing has counted this one yet."""
    raise AppError(Fault("VendorError", f"The vendor {what}.", 502, "llm", retryable=True))
