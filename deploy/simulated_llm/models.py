"""The models on offer and what they are like; prices are not the vendor's to tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Provider = Literal["openai", "anthropic"]
Work = Literal["chat", "image", "transcription", "embedding"]


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    Attributes:
        name: What clients ask for.
        snapshot: What answers say it was.
        first: Median seconds until the first token (of an image or a transcript: until it is there).
        spread: Sigma of the log-normal distribution of those seconds.
        token_rate: Tokens per second after the first.
        reply: Median length of a reply in tokens.
        context: Tokens that prompt and reply may have together.
        thinks: Whether it bills reasoning tokens that nobody sees.
    """

    name: str
    provider: Provider
    work: Work
    snapshot: str
    first: float
    spread: float = 0.4
    token_rate: float = 90.0
    reply: int = 60
    context: int = 128_000
    thinks: bool = False


_ALL = (
    Model("gpt-4o-mini", "openai", "chat", "gpt-4o-mini-2024-07-18", 0.4),
    Model("gpt-4o", "openai", "chat", "gpt-4o-2024-08-06", 0.5, token_rate=75, reply=80),
    Model("gpt-4.1-mini", "openai", "chat", "gpt-4.1-mini-2025-04-14", 0.45, context=1_047_576),
    Model("gpt-5-mini", "openai", "chat", "gpt-5-mini-2025-08-07", 0.9, 0.6, 110, context=400_000, thinks=True),
    Model("gpt-image-1", "openai", "image", "gpt-image-1", 9.0, 0.3),
    Model("whisper-1", "openai", "transcription", "whisper-1", 1.2, 0.4),
    Model("gpt-4o-mini-transcribe", "openai", "transcription", "gpt-4o-mini-transcribe", 0.9, 0.4),
    Model("text-embedding-3-small", "openai", "embedding", "text-embedding-3-small", 0.2),
    Model("claude-sonnet-4-5", "anthropic", "chat", "claude-sonnet-4-5-20250929", 0.9, 0.4, 70, 90, context=200_000),
    Model("claude-haiku-4-5", "anthropic", "chat", "claude-haiku-4-5-20251001", 0.5, 0.4, 140, context=200_000),
    # No price library knows these: for tests of what happens then.
    Model("simulated-chat-1", "openai", "chat", "simulated-chat-1", 0.3),
    Model("simulated-chat-1", "anthropic", "chat", "simulated-chat-1", 0.3),
)


def offered(provider: Provider) -> tuple[Model, ...]:
    """The models of one provider's API."""
    return tuple(model for model in _ALL if model.provider == provider)


def find(provider: Provider, work: Work, name: str) -> Model | None:
    """The model of that name or snapshot, ``None`` where the provider has none for this work."""
    candidates = (model for model in offered(provider) if model.work == work)
    return next((model for model in candidates if name in {model.name, model.snapshot}), None)
