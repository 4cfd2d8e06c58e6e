"""Reads token usage from what LLM vendors answer, as exclusive types that add up to what is billed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TokenUsage:
    """Billed tokens of one call.

    Attributes:
        prompt: Input that was not read from the vendor's prompt cache.
        cached: Input that was.
        completion: Output.
        cache_written: The part of ``prompt`` that was written to the prompt cache (priced apart).
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    cache_written: int = 0

    @property
    def input(self) -> int:
        """All input tokens."""
        return self.prompt + self.cached


def usage_of(answer: object) -> TokenUsage | None:
    """The usage an answer reports, ``None`` where it reports none.

    Understands OpenAI chat completions, responses and images (input includes cached) and Anthropic messages (input
    excludes cached), as client objects or as plain dictionaries.
    """
    usage = _get(answer, "usage")
    if usage is None:
        return None
    if _get(usage, "cache_read_input_tokens") is not None or _get(usage, "cache_creation_input_tokens") is not None:
        return _anthropic(usage)
    return _openai(usage)


def _anthropic(usage: object) -> TokenUsage:
    written = _count(usage, "cache_creation_input_tokens")
    return TokenUsage(
        prompt=_count(usage, "input_tokens") + written,
        cached=_count(usage, "cache_read_input_tokens"),
        completion=_count(usage, "output_tokens"),
        cache_written=written,
    )


def _openai(usage: object) -> TokenUsage | None:
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    completion = _first(usage, "completion_tokens", "output_tokens")
    if prompt is None and completion is None:
        return None
    details = _get(usage, "prompt_tokens_details") or _get(usage, "input_tokens_details")
    cached = min(_count(details, "cached_tokens"), prompt or 0)
    return TokenUsage(prompt=(prompt or 0) - cached, cached=cached, completion=completion or 0)


def _get(holder: object, name: str) -> object:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)


def _first(holder: object, *names: str) -> int | None:
    for name in names:
        value = _get(holder, name)
        if isinstance(value, int):
            return max(0, value)
    return None


def _count(holder: object, name: str) -> int:
    return _first(holder, name) or 0


class StreamUsage:
    """Collects the usage of a streamed reply from its chunks."""

    def __init__(self) -> None:
        self._latest: TokenUsage | None = None

    @property
    def usage(self) -> TokenUsage | None:
        """What the stream reported so far."""
        return self._latest

    def see(self, chunk: object) -> None:
        """Take the usage a chunk carries: OpenAI's last chunk, Anthropic's first and last events."""
        started = _get(chunk, "message")
        usage = usage_of(started if started is not None else chunk)
        if usage is None:
            return
        self._latest = usage if self._latest is None else _later(self._latest, usage)


def _later(known: TokenUsage, update: TokenUsage) -> TokenUsage:
    """Anthropic repeats some counts in its last event and leaves others out: the larger one is the later one."""
    return TokenUsage(
        prompt=max(known.prompt, update.prompt),
        cached=max(known.cached, update.cached),
        completion=max(known.completion, update.completion),
        cache_written=max(known.cache_written, update.cache_written),
    )
