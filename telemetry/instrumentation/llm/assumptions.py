"""What this room relies on in ``genai-prices`` and in vendors' clients beyond their documentation."""

from __future__ import annotations

from telemetry.instrumentation.assumptions import Assumption, check

LIBRARY = "genai-prices"

# What a price is looked up with.
PRICES = (
    Assumption("genai_prices", "calc_price"),
    Assumption("genai_prices", "Usage"),
    Assumption("genai_prices.types:PriceCalculation", "total_price"),
)
# Whether a model has a price in some unit.
OF_MODEL = Assumption("genai_prices.types:PriceCalculation", "model_price")
# That prices differ by tier: what is handed to ``calc_price(price_context=…)``.
TIERS = (Assumption("genai_prices.types", "PriceContext"), Assumption("genai_prices.types:ModelInfo", "price_variants"))
# A field of usages, that their class makes when it is asked for.
HOURLY = Assumption("genai_prices:Usage", "cache_write_1h_tokens")
# How old the prices are.
AGE = (
    Assumption("genai_prices.data_snapshot", "get_snapshot"),
    Assumption("genai_prices.data_snapshot:DataSnapshot", "from_auto_update"),
    Assumption("genai_prices.data_snapshot:DataSnapshot", "timestamp"),
    Assumption("genai_prices.data_snapshot:DataSnapshot", "providers"),
    Assumption("genai_prices.types:Provider", "models"),
    Assumption("genai_prices.types:ModelInfo", "prices"),
    Assumption("genai_prices.types:ModelInfo", "price_variants"),
    Assumption("genai_prices.types:ConditionalPrice", "constraint"),
    Assumption("genai_prices.types:PriceVariant", "constraint"),
    Assumption("genai_prices.types:StartDateConstraint", "start_date"),
)

CHUNKS_OF_HELPER = "_raw_stream"
_ENDS_OF_HELPERS = ("get_final_message", "get_final_completion", "get_final_response")


def is_helper(stream: object) -> bool:
    """Whether a stream is a vendor's helper around a plain one, which it keeps where we expect it.

    One that keeps it elsewhere is said once; then only what is iterated is seen, and not what its methods read.
    """
    kind = type(stream)
    if not any(hasattr(kind, name) for name in _ENDS_OF_HELPERS):
        return False
    if CHUNKS_OF_HELPER in getattr(stream, "__dict__", ()):
        return True
    kept = Assumption(f"{kind.__module__}:{kind.__qualname__}", CHUNKS_OF_HELPER)
    return check(kind.__module__, [kept], "of a streamed reply only what is iterated is seen")
