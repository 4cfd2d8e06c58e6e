"""Decides how one request goes: tokens, latency, errors; from the seed and the request, never from arrival order."""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections import OrderedDict
from dataclasses import dataclass

from deploy.simulated_llm.settings import Settings

MODELS = {
    "gpt-4o-mini": (0.25, 90.0),
    "gpt-4o": (0.45, 60.0),
    "gpt-4.1-mini": (0.3, 80.0),
    "claude-sonnet-4-5": (0.6, 55.0),
    "claude-haiku-4-5": (0.3, 100.0),
    "gpt-image-1": (3.0, 400.0),
    "whisper-1": (0.8, 500.0),
}
CONTEXT_LIMIT = 128_000
CACHE_PREFIX = 1024
SEEN_AT_MOST = 10_000
ERRORS = ((429, 0.4), (500, 0.3), (503, 0.3))
_CONTROL = re.compile(r"\[\[(error|hang|tokens|drop)(?::(\d+))?\]\]")
_WORDS = (
    "the answer depends on what you mean by it and there are several views that scholars have held over the "
    "centuries so let us look at the sources first and then at how they were read"
).split()


@dataclass(frozen=True)
class Plan:
    """How one request goes.

    Attributes:
        prompt: Uncached input tokens.
        cached: Input tokens read from the prompt cache.
        completion: Output tokens.
        first_token_seconds: Until the first token.
        token_seconds: Per token after it.
        error: Status of a vendor error, 0 for none.
        hang_seconds: How long it does nothing first.
        drop: Whether the connection breaks in the middle of a stream.
    """

    prompt: int
    cached: int
    completion: int
    first_token_seconds: float
    token_seconds: float
    error: int = 0
    hang_seconds: float = 0.0
    drop: bool = False

    @property
    def seconds(self) -> float:
        """Until the last token."""
        return self.first_token_seconds + self.completion * self.token_seconds

    def words(self) -> list[str]:
        """The reply, a token a word; it says what it is."""
        start = ["This", "is", "a", "simulated", "reply:"]
        return [*start, *(_WORDS[i % len(_WORDS)] for i in range(max(0, self.completion - len(start))))]


class Behaviour:
    """Plans requests; remembers a bounded number of contents, so that a repeated one goes differently."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._prefixes: OrderedDict[str, None] = OrderedDict()

    def plan(self, model: str, text: str) -> Plan:
        """How the request with this content goes; controls such as ``[[error:500]]`` in it decide for themselves."""
        times = self._count(f"{model}\n{text}")
        draw = random.Random(f"{self._settings.seed}\n{times}\n{model}\n{text}")
        controls = {name: int(value or 0) for name, value in _CONTROL.findall(text)}
        base, rate = MODELS.get(model, (0.4, 60.0))
        tokens_in = tokens_of(text)
        cached = self._cached(model, text, tokens_in)
        return Plan(
            prompt=tokens_in - cached,
            cached=cached,
            completion=controls.get("tokens") or max(8, int(draw.lognormvariate(4.2, 0.5))),
            first_token_seconds=base * draw.lognormvariate(0, 0.35) / self._settings.speed,
            token_seconds=1 / rate / self._settings.speed,
            error=controls.get("error", 0) or self._error(draw),
            hang_seconds=float(controls.get("hang", 0)),
            drop="drop" in controls,
        )

    def _error(self, draw: random.Random) -> int:
        if draw.random() >= self._settings.error_rate:
            return 0
        return draw.choices([status for status, _ in ERRORS], [weight for _, weight in ERRORS])[0]

    def _count(self, content: str) -> int:
        key = hashlib.sha256(content.encode(errors="replace")).hexdigest()
        times = self._seen.pop(key, 0) + 1
        self._seen[key] = times
        if len(self._seen) > SEEN_AT_MOST:
            self._seen.popitem(last=False)
        return times

    def _cached(self, model: str, text: str, tokens: int) -> int:
        """Like the real ones: a prefix of a long prompt that was sent before is read from the prompt cache."""
        if tokens < CACHE_PREFIX:
            return 0
        prefix = f"{model}\n{text[: CACHE_PREFIX * 4]}"
        known = prefix in self._prefixes
        self._prefixes[prefix] = None
        if len(self._prefixes) > SEEN_AT_MOST:
            self._prefixes.popitem(last=False)
        return CACHE_PREFIX if known else 0


def tokens_of(text: str) -> int:
    """About four characters a token, as vendors say."""
    return max(1, math.ceil(len(text) / 4))
