"""The vendor's own books: what it served and bills, for tests to compare telemetry with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

MODELS_AT_MOST = 1000


@dataclass
class Ledger:
    """Exact truth of what was served; bounded by the number of models.

    Attributes:
        requests: By API, model and outcome (``ok``, an error status, ``aborted``).
        tokens: Billed, by model and type (``prompt`` uncached, ``cached``, ``completion``).
        images: Drawn, by model.
        audio_seconds: Transcribed, by model.
    """

    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    audio_seconds: dict[str, float] = field(default_factory=dict)

    def served(self, api: str, model: str, outcome: str) -> None:
        """A request was answered."""
        if len(self.requests) < MODELS_AT_MOST or (api, model, outcome) in self.requests:
            self.requests[api, model, outcome] += 1

    def billed(self, model: str, *, prompt: int, cached: int, completion: int) -> None:
        """Tokens were used."""
        for token_type, count in (("prompt", prompt), ("cached", cached), ("completion", completion)):
            self.tokens[model, token_type] += count

    def as_dict(self) -> dict[str, Any]:
        """The books as JSON."""
        totals: Counter[str] = Counter()
        for (_, token_type), count in self.tokens.items():
            totals[token_type] += count
        return {
            "requests": [
                {"api": api, "model": model, "outcome": outcome, "count": count}
                for (api, model, outcome), count in sorted(self.requests.items())
            ],
            "requests_total": sum(self.requests.values()),
            "tokens": [
                {"model": model, "type": kind, "count": count} for (model, kind), count in sorted(self.tokens.items())
            ],
            "tokens_total": {kind: totals[kind] for kind in ("prompt", "cached", "completion")},
            "images_total": sum(self.images.values()),
            "audio_seconds_total": sum(self.audio_seconds.values()),
        }
