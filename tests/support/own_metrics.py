"""A user's module of own metrics, as docs/own-metrics.md has it; public names only."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

import telemetry
from telemetry.catalogue import Budget, CounterSpec, FactSpec, HistogramSpec, LevelSpec, NoLabels

Plan = Literal["free", "pro"]
Shop = Annotated[str, Budget(3, "shops of the company")]


class PlanLabels(TypedDict):
    """Whose."""

    plan: Plan


class ShopLabels(TypedDict):
    """Where."""

    shop: Shop


class OrderLabels(PlanLabels):
    """Whose and where."""

    shop: Shop


ORDERS_PLACED = CounterSpec(name="own_orders_total", help="Orders placed.", labels=OrderLabels, unit="{order}")
REFUNDS = CounterSpec(name="own_refunds_total", help="Orders refunded.", labels=PlanLabels)
SEEN_THINGS = CounterSpec(name="own_seen_total", help="Things seen.", labels=NoLabels)
SECONDS = HistogramSpec(
    name="own_order_seconds", help="Seconds per order.", labels=PlanLabels, unit="s", buckets=(0.1, 1.0)
)
CARTS_OPEN = LevelSpec(name="own_carts_open", help="Carts open.", labels=ShopLabels)
QUEUED = LevelSpec(name="own_queued", help="Orders queued.", labels=NoLabels)
IN_STOCK = FactSpec(name="own_stock", help="Things in stock.", labels=ShopLabels)

ORDERS = telemetry.counter(ORDERS_PLACED)
SEEN = telemetry.counter(SEEN_THINGS)
ORDER_SECONDS = telemetry.histogram(SECONDS)
CARTS = telemetry.level(CARTS_OPEN)
STOCK = telemetry.fact(IN_STOCK)
