"""What a call costs, from the price library; a price that is not known is ``None``, never 0."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telemetry.domains.llm_tokens import TokenUsage

_LONGEST_WAIT = 2.0  # of a fork; loading takes half a second, of a processor that is free

# Hold it to use the library, which imports its modules when it needs them: who forked in the middle of an import
# would leave a child that waits for that import for ever.
lock = threading.RLock()
_held_for_fork = threading.local()


def _before_fork() -> None:
    _held_for_fork.now = lock.acquire(timeout=_LONGEST_WAIT)


def _after_fork_in_parent() -> None:
    if _held_for_fork.now:
        lock.release()


def _after_fork_in_child() -> None:
    global lock  # noqa: PLW0603 - another thread may hold it for ever
    lock = threading.RLock()
    _Library.is_lost = _Library.is_lost or not _held_for_fork.now


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


class _Library:
    """What this process may do with the library.

    Attributes:
        is_ready: Whether it, or one it was forked from, has used it: from then on a look-up is quick.
        is_lost: Whether it, or one it was forked from, was forked while a thread used it: an import may never end.
    """

    is_ready = False
    is_lost = False


def is_ready() -> bool:
    """Whether a look-up takes microseconds, and not the half second that loading the library takes."""
    return _Library.is_ready and not _Library.is_lost


def is_lost() -> bool:
    """Whether a look-up may never end, because of a fork that could not wait: others price what is noted here."""
    return _Library.is_lost


def cost_in_usd(provider: str, model: str, usage: TokenUsage) -> float | None:
    """US dollars the vendor bills for ``usage``, ``None`` where the library has no price for the model.

    Models are priced by the token or, where they listen, by the second.
    """
    # Half a second that no call, and no start of a process, should pay.
    from genai_prices import Usage, calc_price

    by_time = usage.audio_seconds > 0 and not usage.tokens
    if by_time:
        amount = Usage(audio_seconds=usage.audio_seconds)
    else:
        amount = Usage(
            input_tokens=usage.input,
            output_tokens=usage.completion,
            cache_read_tokens=usage.cached,
            cache_write_tokens=usage.cache_written,
        )
    try:
        price = calc_price(amount, model_ref=model, provider_id=provider)
    except LookupError:
        return None
    finally:
        _Library.is_ready = True  # not before: the first look-up imports the prices
    priced_by = ("audio_hours",) if by_time else ("input_mtok", "output_mtok")
    if all(getattr(price.model_price, unit, None) is None for unit in priced_by):
        return None
    return float(price.total_price)


def price_table() -> tuple[str, str]:
    """Version of the price library, and the day on which the newest price of its table took effect."""
    import genai_prices
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    if snapshot.from_auto_update:
        return genai_prices.__version__, snapshot.timestamp.date().isoformat()
    today = datetime.now(UTC).date()
    dates = [day for provider in snapshot.providers for model in provider.models for day in _dates(model)]
    return genai_prices.__version__, max((day for day in dates if day <= today), default=date.min).isoformat()


def _dates(model: Any) -> Iterator[date]:
    prices = model.prices if isinstance(model.prices, list) else []
    for conditional in [*prices, *(getattr(model, "price_variants", None) or [])]:
        day = getattr(conditional.constraint, "start_date", None)
        if isinstance(day, date):
            yield day
