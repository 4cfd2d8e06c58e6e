"""The shop itself, which counts events where they happen; ``python -m own_metrics.shop 3`` sells three times."""

from __future__ import annotations

import sys
import time
from typing import Literal

import telemetry
from own_metrics import metrics


def sell(shop: str, payment: Literal["card", "invoice"]) -> None:
    """A customer fills a cart and buys it."""
    metrics.carts.add(1, {"shop": shop})
    began = time.perf_counter()
    metrics.orders.add(1, {"shop": shop, "payment": payment})
    metrics.checkout_seconds.record(time.perf_counter() - began, {"payment": payment})
    metrics.carts.add(-1, {"shop": shop})


def count_stock(items: dict[str, int]) -> None:
    """Report what the database says; a shop that is not in it any more is gone from the metric, too."""
    metrics.stock.set_all([({"shop": shop}, count) for shop, count in items.items()])


if __name__ == "__main__":
    telemetry.configure(service_name="shop", catalogue=metrics)
    count_stock({"main street": 7, "station": 9})
    for _ in range(int(sys.argv[1])):
        sell("main street", "card")
    telemetry.shutdown()
