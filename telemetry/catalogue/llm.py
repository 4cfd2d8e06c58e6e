"""LLM metrics of the guide, section "LLM Metrics"; how they are measured is in ``domains/llm.py``."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from telemetry.catalogue._labels import Model, Provider
from telemetry.catalogue._spec import Budget, CounterSpec, FactSpec, HistogramSpec


class ModelLabels(TypedDict):
    """Which vendor, which model."""

    provider: Provider
    model: Model


class TokenLabels(ModelLabels):
    """Exclusive token types that add up to what the vendor bills."""

    type: Literal["prompt", "completion", "cached", "other"]


class PriceTableLabels(TypedDict):
    """Which price table."""

    version: Annotated[str, Budget(10, "releases of the price library in the fleet")]
    date: Annotated[str, Budget(20, "days on which the table changed")]
    overrides: Literal["yes", "no"]


REQUESTS = CounterSpec(
    name="llm_requests_total",
    help="LLM requests, those answered from the response cache included.",
    labels=ModelLabels,
    unit="{request}",
)
TOKENS = CounterSpec(
    name="llm_tokens_used_total",
    help="Tokens billed by the vendor: prompt is uncached input, cached is input read from the vendor's prompt cache.",
    labels=TokenLabels,
    unit="{token}",
)
DURATION = HistogramSpec(
    name="llm_request_duration_seconds",
    help="Seconds of a call to the vendor, to the last byte of a streamed reply.",
    labels=ModelLabels,
    unit="s",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0),
)
COST = CounterSpec(
    name="llm_cost_usd_total",
    help="What the vendor bills for the tokens, in US dollars; only for models with a known price.",
    labels=ModelLabels,
    unit="{USD}",
)
CACHE_HITS = CounterSpec(
    name="llm_cache_hits_total",
    help="LLM requests answered from the application's own response cache.",
    labels=ModelLabels,
    unit="{request}",
)
UNPRICED = CounterSpec(
    name="llm_unpriced_requests_total",
    help="Vendor calls whose cost is unknown: no price for the model, or no usage in the answer.",
    labels=ModelLabels,
    unit="{request}",
    documented=False,
)
STREAMS_ABORTED = CounterSpec(
    name="llm_streams_aborted_total",
    help="Streamed replies that were not read to their end: closed, or broken off by either side.",
    labels=ModelLabels,
    unit="{stream}",
    documented=False,
)
TOKENS_ESTIMATED = CounterSpec(
    name="llm_tokens_estimated_total",
    help="Tokens of streams whose usage was not reported, by the length of the text; not in `llm_tokens_used_total`.",
    labels=TokenLabels,
    unit="{token}",
    documented=False,
)
COST_ESTIMATED = CounterSpec(
    name="llm_cost_estimated_usd_total",
    help="What the estimated tokens cost, in US dollars; not in `llm_cost_usd_total`.",
    labels=ModelLabels,
    unit="{USD}",
    documented=False,
)
FIRST_TOKEN = HistogramSpec(
    name="llm_time_to_first_token_seconds",
    help="Seconds from the start of a streamed call to the first chunk with text.",
    labels=ModelLabels,
    unit="s",
    buckets=(0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0),
    documented=False,
)
PRICE_TABLE = FactSpec(
    name="llm_price_table_info",
    help="1 for the price table that costs are computed with; `date` is when its newest price took effect, "
    "`overrides` whether negotiated prices go before it.",
    labels=PriceTableLabels,
    documented=False,
)
