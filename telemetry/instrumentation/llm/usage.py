"""Reads token usage from what LLM vendors answer, as exclusive types that add up to what is billed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from telemetry.domains.llm_tokens import TokenUsage

BATCH = "batch"
FAST = "fast"

_LARGEST_COUNT = 10**12
_LONGEST_TIER = 32
_OF_ANTHROPIC = ("cache_read_input_tokens", "cache_creation_input_tokens")


def usage_of(answer: object) -> TokenUsage | None:
    """The usage an answer reports, ``None`` where it reports none.

    Understands OpenAI chat completions, responses, embeddings, images and transcriptions (input includes cached) and
    Anthropic messages (input excludes cached), as client objects or as plain dictionaries; also what LiteLLM makes of
    Anthropic's, which is OpenAI's with some of Anthropic's fields beside it.
    """
    usage = _get(answer, "usage")
    if usage is None:
        return None
    is_anthropic = any(_get(usage, name) is not None for name in _OF_ANTHROPIC)
    if is_anthropic and _get(usage, "prompt_tokens") is None:
        return _anthropic(usage)
    return _openai(usage, _tier(answer) or _tier(usage))


def _anthropic(usage: object) -> TokenUsage:
    written = _count(usage, "cache_creation_input_tokens")
    return TokenUsage(
        prompt=_count(usage, "input_tokens") + written,
        cached=_count(usage, "cache_read_input_tokens"),
        completion=_count(usage, "output_tokens"),
        cache_written=written,
        cache_written_1h=min(written, _count(_get(usage, "cache_creation"), "ephemeral_1h_input_tokens")),
        service_tier=FAST if _get(usage, "speed") == FAST else _tier(usage),
    )


def _openai(usage: object, tier: str) -> TokenUsage | None:
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    completion = _first(usage, "completion_tokens", "output_tokens")
    if prompt is None and completion is None:
        return _heard(usage)
    details = _get(usage, "prompt_tokens_details") or _get(usage, "input_tokens_details")
    cached = min(_count(details, "cached_tokens"), prompt or 0)
    uncached = (prompt or 0) - cached
    written = min(_count(details, "cache_write_tokens") or _count(usage, "cache_creation_input_tokens"), uncached)
    for_an_hour = _count(_get(details, "cache_creation_token_details"), "ephemeral_1h_input_tokens")
    return TokenUsage(
        prompt=uncached,
        cached=cached,
        completion=completion or 0,
        cache_written=written,
        cache_written_1h=min(written, for_an_hour),
        service_tier=tier,
    )


def _tier(holder: object) -> str:
    tier = _get(holder, "service_tier")
    return tier if isinstance(tier, str) and len(tier) <= _LONGEST_TIER else ""


def _heard(usage: object) -> TokenUsage | None:
    seconds = _get(usage, "seconds")
    if isinstance(seconds, int | float) and 0 < seconds < math.inf:
        return TokenUsage(audio_seconds=float(seconds))
    return None


def _get(holder: object, name: str) -> object:
    if isinstance(holder, dict | Mapping):  # a dictionary is known at once, and other mappings are rare
        return holder.get(name)
    return getattr(holder, name, None)


def _first(holder: object, *names: str) -> int | None:
    for name in names:
        value = _get(holder, name)
        if isinstance(value, int) and not isinstance(value, bool):
            return min(max(0, value), _LARGEST_COUNT)
    return None


def _count(holder: object, name: str) -> int:
    return _first(holder, name) or 0


_DERIVED = frozenset({"content.delta", "refusal.delta"})


class StreamUsage:
    """Collects the usage of a streamed reply from its chunks, and how much text came.

    Attributes:
        reported: What the vendor said so far; ``None`` for nothing.
        is_complete: Whether the vendor said all of it.
        is_finished: Whether the stream was read to its end.
    """

    def __init__(self) -> None:
        self.is_finished = False
        self.reported: TokenUsage | None = None
        self.is_complete = False
        self._bytes = 0

    @property
    def has_begun(self) -> bool:
        """Whether any text came."""
        return self._bytes > 0

    def see(self, event: object) -> None:
        """Take what a chunk carries, all of it or, interrupted, nothing.

        Usage comes in OpenAI's last chunk or event, and in the first (input) and last (output) of Anthropic.
        """
        chunk = _chunk_of(event)
        size = self._bytes + sum(len(text.encode("utf-8", "replace")) for text in _texts(chunk))
        usage, is_last = _reported(chunk)
        known = usage if usage is None or self.reported is None else _later(self.reported, usage)
        self._bytes = size
        if known is not None:
            self.reported = known
            self.is_complete = self.is_complete or is_last

    def unreported(self, prompt: object = None) -> TokenUsage:
        """An estimate of what was used and not reported.

        Args:
            prompt: What was sent to the vendor, for a vendor that has not reported it; any text is found in it.
        """
        if self.is_complete:
            return TokenUsage()
        completion = _tokens(self._bytes)
        if self.reported is not None:
            rest = max(0, completion - self.reported.completion)
            return TokenUsage(completion=rest, service_tier=self.reported.service_tier)
        return TokenUsage(prompt=estimate(prompt), completion=completion)


def _chunk_of(event: object) -> object:
    """The vendor's chunk in what OpenAI's helpers make of it; what they make beside it has been seen in the chunk."""
    kind = _get(event, "type")
    if kind == "chunk":
        return _get(event, "chunk")
    return None if isinstance(kind, str) and kind in _DERIVED else event


def _reported(chunk: object) -> tuple[TokenUsage | None, bool]:
    """The usage a chunk reports, and whether that is all of it."""
    message = _get(chunk, "message")
    if message is not None:  # Anthropic's first event, or what its helper makes of the last one
        return usage_of(message), _get(chunk, "type") == "message_stop"
    response = _get(chunk, "response")
    return usage_of(chunk if response is None else response), True


def _later(known: TokenUsage, update: TokenUsage) -> TokenUsage:
    """Anthropic repeats some counts in its last event and leaves others out: the larger one is the later one."""
    return TokenUsage(
        prompt=max(known.prompt, update.prompt),
        cached=max(known.cached, update.cached),
        completion=max(known.completion, update.completion),
        cache_written=max(known.cache_written, update.cache_written),
        cache_written_1h=max(known.cache_written_1h, update.cache_written_1h),
        audio_seconds=max(known.audio_seconds, update.audio_seconds),
        service_tier=update.service_tier or known.service_tier,
    )


def _texts(chunk: object) -> Iterable[str]:
    """What a chunk adds to the reply: text, reasoning or arguments of tools, of either vendor."""
    choices = _get(chunk, "choices")
    deltas = [_get(choice, "delta") for choice in choices] if isinstance(choices, list | tuple) else []
    deltas.append(_get(chunk, "delta"))
    for delta in deltas:
        if isinstance(delta, str):
            yield delta
            continue
        for name in ("content", "text", "partial_json", "thinking", "reasoning_content"):
            text = _get(delta, name)
            if isinstance(text, str):
                yield text
        calls = _get(delta, "tool_calls")
        for call in calls if isinstance(calls, list | tuple) else ():
            arguments = _get(_get(call, "function"), "arguments")
            if isinstance(arguments, str):
                yield arguments


_BYTES_PER_TOKEN = 4
_DEEPEST = 10


def _tokens(size: int) -> int:
    """Vendors' tokenizers take about four bytes of UTF-8 for a token, in scripts of one byte a letter and of two."""
    return math.ceil(size / _BYTES_PER_TOKEN)


def estimate(prompt: object) -> int:
    """About how many tokens the text in a prompt, or in a list of messages, has."""
    return _tokens(_size(prompt, _DEEPEST))


def _size(value: object, depth: int) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if depth and isinstance(value, Mapping):
        return sum(_size(item, depth - 1) for item in value.values())
    if depth and isinstance(value, list | tuple):
        return sum(_size(item, depth - 1) for item in value)
    return 0
