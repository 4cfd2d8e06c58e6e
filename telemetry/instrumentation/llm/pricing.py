"""What a call costs, from the price library; a price that is not known is ``None``, never 0."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from telemetry.fork_lock import ForkLock
from telemetry.instrumentation.assumptions import Assumption, check
from telemetry.instrumentation.llm import assumptions

if TYPE_CHECKING:
    from telemetry.domains.llm_tokens import TokenUsage

_logger = logging.getLogger("telemetry")

_LONGEST_WAIT = 2.0  # of a fork; loading takes half a second, of a processor that is free

_UNKNOWN = "unknown"
_STANDARD = frozenset({"", "auto", "default", "standard"})
# One tier may go by any of them, by vendor: a batch, OpenAI's ``flex``, Anthropic's ``fast``.
_NAMES_OF_TIERS = ("processing", "service_tier", "speed")

# Hold its lock to use the library, which imports its modules when it needs them: who forked in the middle of an import
# would leave a child that waits for that import for ever.
library = ForkLock(_LONGEST_WAIT)


class _Library:
    """What this process knows of the library.

    Attributes:
        is_ready: Whether it, or one it was forked from, has used it: from then on a look-up is quick.
    """

    is_ready = False


def is_ready() -> bool:
    """Whether a look-up takes microseconds, and not the half second that loading the library takes."""
    return _Library.is_ready and not library.was_lost


def is_lost() -> bool:
    """Whether a look-up may never end, because of a fork that could not wait: others price what is noted here."""
    return library.was_lost


def load() -> None:
    """Load the library and its table now: processes forked later share them, and none of them waits for it."""
    from telemetry.domains.llm_tokens import TokenUsage

    with library.lock:
        cost_in_usd(_UNKNOWN, _UNKNOWN, TokenUsage())


def cost_in_usd(provider: str, model: str, usage: TokenUsage) -> float | None:
    """US dollars the vendor bills for ``usage``, ``None`` where the library has no price for the model.

    Models are priced by the token or, where they listen, by the second. Tiers and batches have their discounts, writing
    to the prompt cache its price by duration and long inputs their step, where the library knows them; else they are
    priced as any other call.
    """
    if not _is_installed():
        _Library.is_ready = True  # there is nothing to wait for
        return None
    if not _Library.is_ready and not _check(assumptions.PRICES, "calls have no price"):
        return None
    try:
        return _cost(provider, model, usage)
    finally:
        _Library.is_ready = True  # not before: the first look-up imports the prices


@functools.cache
def _is_installed() -> bool:
    """Whether the library is there; where it is not, that is said once, and is no error: an extra brings it."""
    if find_spec("genai_prices") is not None:
        return True
    _logger.warning(
        "telemetry: calls to LLM vendors are counted without their cost, in llm_unpriced_requests_total: the price "
        "library is not installed: pip install 'fleet-telemetry[llm]'"
    )
    return False


def _cost(provider: str, model: str, usage: TokenUsage) -> float | None:
    by_time = usage.audio_seconds > 0 and not usage.tokens
    try:
        price = _priced(provider, model, _seconds(usage) if by_time else _tokens(usage), usage.service_tier)
    except LookupError:
        return None
    return float(price.total_price) if _has_price(price, by_time=by_time) else None


def _has_price(price: Any, *, by_time: bool) -> bool:
    """Whether the model is priced in the unit of the call at all: a total of 0 is no price then."""
    of_model = getattr(price, assumptions.OF_MODEL.attribute, None)
    if of_model is None:
        _check([assumptions.OF_MODEL], "a price of 0 is no price")
        return bool(price.total_price > 0)
    priced_by = ("audio_hours",) if by_time else ("input_mtok", "output_mtok")
    return any(getattr(of_model, unit, None) is not None for unit in priced_by)


def _priced(provider: str, model: str, amount: Any, tier: str) -> Any:
    # Imported here: it takes half a second that no start of a process should pay.
    from genai_prices import calc_price

    if tier not in _STANDARD and _check(assumptions.TIERS, "every tier is priced as the standard one"):
        context = dict.fromkeys(_NAMES_OF_TIERS, tier)
        return calc_price(amount, model_ref=model, provider_id=provider, price_context=context)
    return calc_price(amount, model_ref=model, provider_id=provider)


def _seconds(usage: TokenUsage) -> Any:
    from genai_prices import Usage

    return Usage(audio_seconds=usage.audio_seconds)


def _tokens(usage: TokenUsage) -> Any:
    from genai_prices import Usage

    amount = Usage(
        input_tokens=usage.input,
        output_tokens=usage.completion,
        cache_read_tokens=usage.cached,
        cache_write_tokens=usage.cache_written,
    )
    if usage.cache_written_1h and _knows_hours(amount):
        amount.cache_write_1h_tokens = usage.cache_written_1h
    return amount


def _knows_hours(amount: Any) -> bool:
    """Whether the library has a price for what is kept for an hour: attributes of its usage are made when asked for."""
    if hasattr(amount, assumptions.HOURLY.attribute):
        return True
    return _check([assumptions.HOURLY], "writing to a cache is priced as for five minutes")


def _check(needed: Iterable[Assumption], consequence: str) -> bool:
    return check(f"{assumptions.LIBRARY} {_version()}", needed, consequence)


@functools.cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(assumptions.LIBRARY)
    except PackageNotFoundError:
        return _UNKNOWN


def price_table() -> tuple[str, str]:
    """Version of the price library, and the day on which the newest price of its table took effect.

    Both are ``unknown`` where there is no such library, the day where it does not tell.
    """
    if _is_installed() and _check(assumptions.AGE, "the price table is reported without its date"):
        return _version(), _date_of_table().isoformat()
    return _version(), _UNKNOWN


def _date_of_table() -> date:
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    if snapshot.from_auto_update:
        return snapshot.timestamp.date()
    today = datetime.now(UTC).date()
    dates = [day for provider in snapshot.providers for model in provider.models for day in _dates(model)]
    return max((day for day in dates if day <= today), default=date.min)


def _dates(model: Any) -> Iterator[date]:
    prices = model.prices if isinstance(model.prices, list) else []
    for conditional in [*prices, *(model.price_variants or [])]:
        day = getattr(conditional.constraint, "start_date", None)
        if isinstance(day, date):
            yield day
