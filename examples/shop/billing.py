"""The shop's worker."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("billing", broker=os.environ["SHOP_BROKER"])
app.conf.update(
    task_default_queue="billing",
    broker_connection_retry_on_startup=True,
    beat_schedule={"close-the-day": {"task": "billing.bill", "schedule": 2.0, "args": ["the day"]}},
)


@app.task
def bill(product: str) -> str:
    """Bill an order; nobody can buy the moon."""
    if product == "moon":
        raise ValueError(product)
    return f"bill for {product}"
