"""What a call costs, from the price library; a price that is not known is ``None``, never 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry.domains._llm_usage import TokenUsage


def cost_in_usd(provider: str, model: str, usage: TokenUsage) -> float | None:
    """US dollars the vendor bills for ``usage``, ``None`` where the library has no price for the model."""
    # Imported at the first call: half a second that the start of a process should not pay.
    from genai_prices import Usage, calc_price

    tokens = Usage(
        input_tokens=usage.input,
        output_tokens=usage.completion,
        cache_read_tokens=usage.cached,
        cache_write_tokens=usage.cache_written,
    )
    try:
        price = calc_price(tokens, model_ref=model, provider_id=provider)
    except LookupError:
        return None
    if price.model_price.input_mtok is None and price.model_price.output_mtok is None:
        return None
    return float(price.total_price)
