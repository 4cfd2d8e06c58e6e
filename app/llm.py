"""Every call to an LLM vendor, through the vendor's own client, counted, its errors translated; no prompts here.

Anthropic's half is `app.llm_anthropic`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import httpx2
import openai

import telemetry
from app.faults import AppError, Fault
from app.process import PerProcess
from app.settings import Settings, get_settings

MAX_REPLY_TOKENS = 1024
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_BASE_ERRORS = {"openai": "OpenAIError", "anthropic": "AnthropicError"}

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


@contextmanager
def vendor_call(sdk: Any, provider: str, model: str) -> Iterator[Any]:
    """Count one call to a vendor and say what its error means.

    Args:
        sdk: The vendor's client package; both vendors' packages name their errors alike.
        provider: The vendor's name.
        model: As sent to the vendor.

    Yields:
        Telemetry's view of the call, which takes the response. It counts errors, so nothing else counts them again.
    """
    try:
        with telemetry.get().llm.request(provider=provider, model=model) as call:
            yield call
    except (sdk.APITimeoutError, httpx2.TimeoutException) as error:
        raise AppError(_fault("VendorTimeout", f"{provider} did not answer in time.", 504)) from error
    except sdk.APIStatusError as error:
        code = error.status_code
        text = f"{provider} answered with status {code}."
        retryable = code >= _SERVER_ERROR or code == _TOO_MANY_REQUESTS
        raise AppError(_fault("VendorError", text, retryable=retryable)) from error
    except (sdk.APIConnectionError, httpx2.TransportError) as error:
        raise AppError(_fault("VendorError", f"{provider} cannot be reached.")) from error
    except getattr(sdk, _BASE_ERRORS[provider]) as error:
        text = f"{provider} could not be used: {type(error).__name__}."
        raise AppError(_fault("VendorError", text, retryable=False)) from error


def _fault(kind: str, text: str, status: int = 502, *, retryable: bool = True) -> Fault:
    return Fault(kind, text, status, component=None, retryable=retryable)


def _unusable(what: str) -> bytes:
    """Refuse an answer that came with a good status; nothing has counted this one yet."""
    raise AppError(Fault("VendorError", f"The vendor {what}.", 502, "llm", retryable=True))


def make_chat_vendor(settings: Settings) -> ChatVendor:
    """Return the vendor that LLM_PROVIDER names."""
    if settings.llm_provider == "openai":
        return OpenAIVendor(settings)
    # Imported when it is used: the package takes more than a second and 50 MB in every process.
    from app.llm_anthropic import AnthropicVendor

    return AnthropicVendor(settings)


@PerProcess
def chat_vendor() -> ChatVendor:
    """Return this worker process's chat vendor."""
    return make_chat_vendor(get_settings())


@PerProcess
def media_vendor() -> OpenAIVendor:
    """Return this worker process's vendor of images and transcripts."""
    return OpenAIVendor(get_settings())
