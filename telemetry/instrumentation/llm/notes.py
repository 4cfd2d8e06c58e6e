"""Bills that wait for a price, as notes in the box; who prices them is ``billing``'s business."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, cast

from telemetry.domains.llm_tokens import TokenUsage
from telemetry.metrics.provider import MeterProvider
from telemetry.metrics.series import CounterSeries
from telemetry.metrics.stream import OVERFLOW

NOTE = "llm_bill"

MOST_DIFFERENT = 4096
_FIELDS = frozenset(field.name for field in fields(TokenUsage))
_MILLISECONDS = 1000


@dataclass(frozen=True)
class Bill:
    """What is to be priced, and where the amount goes.

    Attributes:
        provider: The vendor.
        model: As sent to the vendor.
        usage: What the call is billed for.
        estimated: Whether the usage is an estimate.
        counts_unpriced: Whether a call without a price counts as one; it does once.
    """

    provider: str
    model: str
    usage: TokenUsage
    estimated: bool = False
    counts_unpriced: bool = True


class Notes:
    """What a process has noted; equal bills are one note.

    The first few thousand different bills are noted as they are. A bill beyond them goes in pieces that recur, so that
    a process that cannot price for long needs no more room: each piece is a power of two of one kind of token, and the
    sum of their prices is the price of the bill, but for steps in the price by the length of the whole input.

    Args:
        provider: Keeps them.
    """

    def __init__(self, provider: MeterProvider) -> None:
        self._stream = provider.notes(NOTE)
        self._different: set[int] = set()

    @property
    def lock(self) -> Any:
        """Held while a note is taken away."""
        return self._stream.lock

    def all(self) -> list[CounterSeries]:
        """Every note, also those of which nothing is left."""
        return cast("list[CounterSeries]", self._stream.all())

    def parts_of(self, bill: Bill) -> list[Bill]:
        """What to note, part by part, instead of a bill: the bill itself, or the pieces of it."""
        return [bill] if self._is_known(hash(bill)) else pieces(bill)

    def add(self, part: Bill) -> bool:
        """Note a part of a bill; whether there is room. The addition to the note is the last thing that can fail."""
        note = self._stream.bind(_noted(part))
        if note.keys == (OVERFLOW,):
            return False
        note.update(1)
        return True

    def _is_known(self, key: int) -> bool:
        if key not in self._different and len(self._different) < MOST_DIFFERENT:
            self._different.add(key)
        return key in self._different


def _noted(bill: Bill) -> Mapping[str, Any]:
    usage = {name: value for name, value in asdict(bill.usage).items() if value}
    return {**asdict(bill), "usage": json.dumps(usage, default=repr)}


def bill_of(noted: Mapping[str, Any]) -> Bill:
    """The bill of a note; what another version has noted beside what we know is left out."""
    usage = {name: value for name, value in json.loads(noted["usage"]).items() if name in _FIELDS}
    return Bill(**{**noted, "usage": TokenUsage(**usage)})


def pieces(bill: Bill) -> list[Bill]:
    """Bills that add up to one, of which there are few different ones; a call without a price still counts once."""
    tier = bill.usage.service_tier
    usages = list(_pieces(bill.usage)) or [TokenUsage()]
    return [
        replace(bill, usage=replace(usage, service_tier=tier), counts_unpriced=bill.counts_unpriced and not number)
        for number, usage in enumerate(usages)
    ]


def _pieces(usage: TokenUsage) -> Iterator[TokenUsage]:
    hourly = usage.cache_written_1h
    for count in _powers(usage.prompt - usage.cache_written):
        yield TokenUsage(prompt=count)
    for count in _powers(usage.cache_written - hourly):
        yield TokenUsage(prompt=count, cache_written=count)
    for count in _powers(hourly):
        yield TokenUsage(prompt=count, cache_written=count, cache_written_1h=count)
    for count in _powers(usage.cached):
        yield TokenUsage(cached=count)
    for count in _powers(usage.completion):
        yield TokenUsage(completion=count)
    for count in _powers(round(usage.audio_seconds * _MILLISECONDS) if not usage.tokens else 0):
        yield TokenUsage(audio_seconds=count / _MILLISECONDS)


def _powers(count: int) -> Iterator[int]:
    return (1 << bit for bit in range(max(0, count).bit_length()) if count >> bit & 1)
