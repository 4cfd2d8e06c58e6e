"""The shop's own tests: what it counts, what it declares, and what its dashboard asks."""

from __future__ import annotations

from pathlib import Path

from own_metrics import metrics, shop
from telemetry import testing
from telemetry.testing.files import check_files

HERE = Path(__file__).parent


def test_a_sale_is_counted() -> None:
    """A sale is an order with a duration, and its cart is gone."""
    with testing.captured(catalogue=metrics):
        shop.sell("station", "card")
        testing.assert_counted(metrics.ORDERS_PLACED, {"shop": "station", "payment": "card"}, 1)
        testing.assert_counted(metrics.CHECKOUT_DURATION, {"payment": "card"}, 1)
        testing.assert_counted(metrics.CARTS_OPEN, {"shop": "station"}, 0)


def test_metrics_are_as_agreed() -> None:
    """A change of a name, a label or a bucket shows in the review of this file."""
    testing.assert_golden(HERE / "metrics.golden.txt", metrics)


def test_dashboard_and_alerts_ask_for_what_exists() -> None:
    """Dashboard and alerts name metrics, labels and values that exist, and mean what they seem to."""
    assert check_files([HERE / "dashboard.json", HERE / "rules.yaml"], metrics) == []
