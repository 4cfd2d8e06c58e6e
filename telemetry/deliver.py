"""Delivers for dead processes from a process that counts nothing itself; ``python -m telemetry deliver`` calls it."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import replace

from telemetry.pipeline.adoption import Adopted, Adoption
from telemetry.pipeline.delivery import Delivery
from telemetry.pipeline.sums import keeper
from telemetry.pipeline.transport import build_transport, target_of
from telemetry.settings.settings import Settings
from telemetry.setup import Telemetry

_BETWEEN_TRIES = 1.0


def deliver(settings: Settings, timeout: float, *, any_credentials: bool = False) -> Adopted:
    """Deliver what dead processes of the state directory counted.

    Args:
        settings: Which directory, and where to.
        timeout: Seconds to try.
        any_credentials: Whether to deliver, with ours, for processes that delivered to the same address with others.

    Returns:
        What became of their boxes.
    """
    silent = Telemetry(replace(settings, exporters=(), histogram_buckets={}))
    delivery = Delivery(build_transport(settings.destination), silent.instruments, threading.RLock())
    target, most_age = target_of(settings), settings.state_max_age
    directory, keep = settings.box_directory, keeper(settings.box_directory)
    adoption = Adoption(
        directory,
        target,
        delivery,
        most_age,
        silent.instruments,
        silent.settle_for,
        keep,
        any_credentials=any_credentials,
    )
    route, deadline = secrets.token_bytes(16), time.monotonic() + timeout
    total = Adopted()
    while True:
        adopted = adoption.adopt(route, deadline - time.monotonic())
        total.delivered += adopted.delivered
        total.expired += adopted.expired
        total.kept, total.foreign = adopted.kept, adopted.foreign
        if not adopted.kept or time.monotonic() + _BETWEEN_TRIES > deadline:
            delivery.close()
            return total
        time.sleep(_BETWEEN_TRIES)
