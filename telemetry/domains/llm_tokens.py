"""What one call to an LLM vendor is billed for, as exclusive types that add up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenUsage:
    """What one call is billed for.

    Attributes:
        prompt: Input that was not read from the vendor's prompt cache.
        cached: Input that was.
        completion: Output.
        cache_written: The part of ``prompt`` that was written to the prompt cache (priced apart).
        cache_written_1h: The part of ``cache_written`` that the vendor keeps for an hour (priced apart again).
        audio_seconds: Audio heard, where that is what the vendor counts.
        service_tier: How the vendor served the call: ``flex``, ``priority``, ``batch``, …; empty where it is not known.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    cache_written: int = 0
    cache_written_1h: int = 0
    audio_seconds: float = 0.0
    service_tier: str = ""

    @property
    def input(self) -> int:
        """All input tokens."""
        return self.prompt + self.cached

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.input + self.completion
