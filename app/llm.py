"""Chooses the LLM vendors of a process; each vendor's calls are in a module of its own (`app.llm_openai`, …)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from app.llm_calls import ChatMessages
from app.llm_openai import OpenAIVendor
from app.process import PerProcess
from app.settings import Settings, get_settings


class ChatVendor(Protocol):
    """What app and worker need of a chat vendor."""

    def load(self) -> None:
        """Load what sync calls need."""
        ...

    def complete(self, messages: ChatMessages) -> str:
        """Return the reply, from sync code."""
        ...

    def stream(self, messages: ChatMessages) -> AsyncGenerator[str, None]:
        """Yield the reply's pieces as they arrive."""
        ...


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
