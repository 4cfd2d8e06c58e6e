"""Negotiated prices of LLM vendors, from a file of the operator's; other prices are the price library's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from telemetry.domains.llm_tokens import TokenUsage

_TOKENS = 1_000_000
_TEXTS = frozenset({"provider", "model", "service_tier"})
_NEEDED = ("provider", "model", "input", "output")


class PricesError(ValueError):
    """A file of prices cannot be used; the message names everything that is wrong in it and the remedies."""


@dataclass(frozen=True)
class Override:
    """What a vendor asks for some of its models; prices are US dollars for a million tokens.

    Attributes:
        provider: As in ``request(provider=…)``.
        model: A name, or a pattern as for files: ``gpt-4o*``.
        input: Input that is neither read from nor written to the vendor's prompt cache.
        output: Output.
        cached: Input that is read from the cache; the price of ``input`` where it is not set.
        cache_write: Input that is written to it; the price of ``input`` where it is not set.
        cache_write_1h: Input that is written to it for an hour; the price of ``cache_write`` where it is not set.
        service_tier: The tier the prices are for (``batch``, ``flex``, …); every tier where it is not set.
        start: The day (UTC) from which they hold; always where it is not set.
    """

    provider: str
    model: str
    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    service_tier: str | None = None
    start: date | None = None

    def holds(self, provider: str, model: str, tier: str, day: date) -> bool:
        """Whether it is the price of calls to that model, served in that tier on that day."""
        return (
            self.provider == provider
            and fnmatchcase(model, self.model)
            and self.service_tier in {None, tier}
            and (self.start is None or self.start <= day)
        )

    def cost(self, usage: TokenUsage) -> float:
        """US dollars for the tokens of a call."""
        write = self.input if self.cache_write is None else self.cache_write
        hourly = write if self.cache_write_1h is None else self.cache_write_1h
        amount = (
            (usage.prompt - usage.cache_written) * self.input
            + usage.cached * (self.input if self.cached is None else self.cached)
            + (usage.cache_written - usage.cache_written_1h) * write
            + usage.cache_written_1h * hourly
            + usage.completion * self.output
        )
        return amount / _TOKENS


def cost_in_usd(overrides: Sequence[Override], provider: str, model: str, usage: TokenUsage) -> float | None:
    """What a call costs by the last override that holds for it; ``None`` for none, and for calls billed by time."""
    if not overrides or (usage.audio_seconds and not usage.tokens):
        return None
    today = datetime.now(UTC).date()
    for override in reversed(overrides):
        if override.holds(provider, model, usage.service_tier, today):
            return override.cost(usage)
    return None


def read(path: Path) -> tuple[Override, ...]:
    """The overrides in a file, in their order.

    Raises:
        PricesError: If it cannot be read, or something in it is wrong: each entry, its value and the remedy.
    """
    entries = _entries(path)
    errors: list[str] = []
    overrides = [_override(f"prices[{number}]", entry, errors) for number, entry in enumerate(entries)]
    if errors:
        raise PricesError("; ".join(errors))
    return tuple(override for override in overrides if override)


def _entries(path: Path) -> list[Any]:
    import tomllib

    loads = {".toml": tomllib.loads, ".json": json.loads}.get(path.suffix)
    if loads is None:
        raise PricesError("set it to the path of a file that ends in .toml or .json")
    try:
        content = loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PricesError(f"set it to a {path.suffix[1:].upper()} file that can be read ({error})") from None
    entries = content.get("prices") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise PricesError('the file has no list "prices": write an entry for each price ([[prices]] in TOML)')
    return entries


def _override(where: str, entry: Any, errors: list[str]) -> Override | None:
    known = len(errors)
    if not isinstance(entry, Mapping):
        errors.append(f"{where} is {entry!r}: write a table with {', '.join(_NEEDED)}")
        return None
    errors += [f"{where} has no {name}: add it" for name in _NEEDED if name not in entry]
    names = {field.name for field in fields(Override)}
    errors += [f"{where} has {name!r}: write one of {', '.join(sorted(names))}" for name in entry if name not in names]
    values = {name: _value(f"{where}.{name}", name, entry[name], errors) for name in entry if name in names}
    return Override(**values) if len(errors) == known else None


def _value(where: str, name: str, value: Any, errors: list[str]) -> Any:
    if name == "start":
        return _day(where, value, errors)
    if name in _TEXTS:
        if not isinstance(value, str) or not value:
            errors.append(f"{where} is {value!r}: write a text")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        errors.append(f"{where} is {value!r}: write US dollars for a million tokens, 0 or more")
    return value


def _day(where: str, value: Any, errors: list[str]) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        errors.append(f"{where} is {value!r}: write a day as 2026-01-31")
    return None
