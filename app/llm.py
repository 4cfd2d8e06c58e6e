"""Every call to an LLM vendor, through the vendor's own client, counted, its errors translated; no prompts here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import anthropic
import httpx2
import openai

import telemetry
from app.faults import AppError, Fault
from app.process import PerProcess
from app.settings import Settings, get_settings

MAX_REPLY_TOKENS = 1024
_TOO_MANY_REQUESTS = 429

ChatMessages = Sequence[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a vendor heard."""

    text: str
    seconds: float
    language: str


class ChatVendor(Protocol):
    """What app and worker need of a chat vendor."""

    def complete(self, messages: ChatMessages) -> str:
        """Return the reply, from sync code."""
        ...

    def stream(self, messages: ChatMessages) -> AsyncGenerator[str, None]:
        """Yield the reply's pieces as they arrive."""
        ...


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

    def complete(self, messages: ChatMessages) -> str:
        """Return the reply, from sync code."""
        model, body = self._settings.llm_model, self._chat(messages)
        with (
            _vendor_call(self.provider),
            telemetry.get().llm.request(provider=self.provider, model=model) as call,
        ):
            reply = self._sync.chat.completions.create(**body)
            call.response(reply)
        return str(reply.choices[0].message.content or "") if reply.choices else ""

    async def stream(self, messages: ChatMessages) -> AsyncGenerator[str, None]:
        """Yield the reply's pieces as they arrive."""
        model, body = self._settings.llm_model, self._chat(messages)
        body["stream_options"] = {"include_usage": True}
        with (
            _vendor_call(self.provider),
            telemetry.get().llm.request(provider=self.provider, model=model) as call,
        ):
            async with await self._async.chat.completions.create(**body, stream=True) as chunks:
                async for chunk in call.stream(chunks):
                    if chunk.choices and (text := chunk.choices[0].delta.content):
                        yield str(text)

    def create_image(self, prompt: str) -> bytes:
        """Return a generated PNG, from sync code."""
        model = self._settings.image_model
        with (
            _vendor_call(self.provider),
            telemetry.get().llm.request(provider=self.provider, model=model) as call,
        ):
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
        with (
            _vendor_call(self.provider),
            telemetry.get().llm.request(provider=self.provider, model=model) as call,
        ):
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

    def complete(self, messages: ChatMessages) -> str:
        """Return the reply, from sync code."""
        model, body = self._settings.llm_model, self._chat(messages)
        with (
            _vendor_call(self.provider),
            telemetry.get().llm.request(provider=self.provider, model=model) as call,
        ):
            reply = self._sync.messages.create(**body)
            call.response(reply)
        return "".join(block.text for block in reply.content if block.type == "text")

    async def stream(self, messages: ChatMessages) -> AsyncGenerator[str, None]:
        """Yield the reply's pieces as they arrive."""
        model, body = self._settings.llm_model, self._chat(messages)
        with (
            _vendor_call(self.provider),
            telemetry.get().llm.request(provider=self.provider, model=model) as call,
        ):
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


@contextmanager
def _vendor_call(provider: str) -> Iterator[None]:
    """Say what a vendor's error means; it is already counted, by the `llm.request` inside."""
    try:
        yield
    except (openai.APITimeoutError, anthropic.APITimeoutError, httpx2.TimeoutException) as error:
        raise AppError(_fault("VendorTimeout", f"{provider} did not answer in time.", 504)) from error
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        code = error.status_code
        text = f"{provider} answered with status {code}."
        raise AppError(_fault("VendorError", text, retryable=code >= 500 or code == _TOO_MANY_REQUESTS)) from error
    except (openai.APIConnectionError, anthropic.APIConnectionError, httpx2.TransportError) as error:
        raise AppError(_fault("VendorError", f"{provider} cannot be reached.")) from error
    except (openai.OpenAIError, anthropic.AnthropicError) as error:
        text = f"{provider} could not be used: {type(error).__name__}."
        raise AppError(_fault("VendorError", text, retryable=False)) from error


def _fault(kind: str, text: str, status: int = 502, *, retryable: bool = True) -> Fault:
    return Fault(kind, text, status, component=None, retryable=retryable)


def _unusable(what: str) -> bytes:
    """Refuse an answer that came with a good status; nothing has counted this one yet."""
    raise AppError(Fault("VendorError", f"The vendor {what}.", 502, "llm", retryable=True))


def make_chat_vendor(settings: Settings) -> ChatVendor:
    """Return the vendor that LLM_PROVIDER names."""
    return OpenAIVendor(settings) if settings.llm_provider == "openai" else AnthropicVendor(settings)


@PerProcess
def chat_vendor() -> ChatVendor:
    """Return this worker process's chat vendor."""
    return make_chat_vendor(get_settings())


@PerProcess
def media_vendor() -> OpenAIVendor:
    """Return this worker process's vendor of images and transcripts."""
    return OpenAIVendor(get_settings())
