"""The exact truth of what was served and what it would be billed as; tests compare telemetry with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Final

UNKNOWN_MODEL: Final = "unknown"
TOKEN_TYPES: Final = ("prompt", "cached", "completion")


@dataclass(frozen=True, slots=True)
class Bill:
    """What one request is billed as; ``prompt``, ``cached`` and ``completion`` are exclusive.

    Attributes:
        prompt: Input tokens not read from the prompt cache, those written to it included.
        cached: Input tokens read from it.
        completion: Output tokens, reasoning included.
        cache_written: The part of ``prompt`` that was written to the prompt cache.
        cache_written_1h: The part of ``cache_written`` that is kept for an hour.
        images: Images made.
        audio_seconds: Seconds of audio heard.
        language: What was heard in them.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    cache_written: int = 0
    cache_written_1h: int = 0
    images: int = 0
    audio_seconds: float = 0.0
    language: str = ""


FREE: Final = Bill()


class Ledger:
    """The books; bounded, for APIs, models, outcomes and languages are few and fixed.

    A request is entered before its last byte is sent, so a client that has its whole answer finds it here. One that a
    client left is entered when that is noticed, a moment later.
    """

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._billed: Counter[tuple[str, str]] = Counter()
        self._reported: Counter[tuple[str, str]] = Counter()
        self._written: Counter[str] = Counter()
        self._images: Counter[str] = Counter()
        self._audio: defaultdict[tuple[str, str], float] = defaultdict(float)

    def enter(self, api: str, model: str, outcome: str, bill: Bill, *, reported: bool) -> None:
        """Enter one finished request.

        Args:
            api: ``openai`` or ``anthropic``.
            model: As the client named it, or ``unknown``.
            outcome: ``ok``, an error's status, ``dropped`` (by the vendor) or ``aborted`` (by the client).
            bill: What was done.
            reported: Whether the client was sent the usage.
        """
        self._requests[api, model, outcome] += 1
        for kind in TOKEN_TYPES:
            self._billed[model, kind] += getattr(bill, kind)
            self._reported[model, kind] += getattr(bill, kind) if reported else 0
        self._written[model] += bill.cache_written
        self._images[model] += bill.images
        if bill.language:
            self._audio[model, bill.language] += bill.audio_seconds

    def as_dict(self) -> dict[str, Any]:
        """The books as JSON: billed tokens, and those of them that the client was told of."""
        return {
            "simulated": True,
            "requests": [
                {"api": api, "model": model, "outcome": outcome, "count": count}
                for (api, model, outcome), count in sorted(self._requests.items())
            ],
            "requests_total": self._requests.total(),
            "tokens": _rows(self._billed),
            "tokens_total": _totals(self._billed),
            "tokens_reported": _rows(self._reported),
            "tokens_reported_total": _totals(self._reported),
            "cache_written_total": self._written.total(),
            "images": [{"model": m, "count": count} for m, count in sorted(self._images.items()) if count],
            "images_total": self._images.total(),
            "audio": [
                {"model": model, "language": language, "seconds": seconds}
                for (model, language), seconds in sorted(self._audio.items())
            ],
            "audio_seconds_total": sum(self._audio.values()),
        }


def _rows(tokens: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"model": model, "type": kind, "count": n} for (model, kind), n in sorted(tokens.items()) if n]


def _totals(tokens: Counter[tuple[str, str]]) -> dict[str, int]:
    return {kind: sum(n for (_, each), n in tokens.items() if each == kind) for kind in TOKEN_TYPES}
