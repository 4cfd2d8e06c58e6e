"""What the shop measures: one declaration a metric, and the verb that counts it."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

import telemetry
from telemetry.catalogue import Budget, CounterSpec, FactSpec, HistogramSpec, LevelSpec

Shop = Annotated[str, Budget(50, "branches of the company")]  # any text, at most 50 values, then "other"


class OrderLabels(TypedDict):
    """Where an order was placed, and how it was paid."""

    shop: Shop
    payment: Literal["card", "invoice"]  # these values; whatever else is given becomes "other"


class PaymentLabels(TypedDict):
    """How an order was paid."""

    payment: Literal["card", "invoice"]


class ShopLabels(TypedDict):
    """Where."""

    shop: Shop


ORDERS_PLACED = CounterSpec(
    name="shop_orders_total",
    help="Orders that customers placed.",
    labels=OrderLabels,
    unit="{order}",
)
CHECKOUT_DURATION = HistogramSpec(
    name="shop_checkout_seconds",
    help="Seconds from the click on buy until the payment was accepted.",
    labels=PaymentLabels,
    unit="s",
    buckets=(0.1, 0.5, 1.0, 2.5, 10.0),
)
CARTS_OPEN = LevelSpec(
    name="shop_carts_open",
    help="Carts that a process holds; they add up over processes.",
    labels=ShopLabels,
    unit="{cart}",
)
ITEMS_IN_STOCK = FactSpec(
    name="shop_items_in_stock",
    help="Items in the warehouse, as whoever asked last read them from the database.",
    labels=ShopLabels,
    unit="{item}",
)

orders = telemetry.counter(ORDERS_PLACED)
checkout_seconds = telemetry.histogram(CHECKOUT_DURATION)
carts = telemetry.level(CARTS_OPEN)
stock = telemetry.fact(ITEMS_IN_STOCK)
