"""Prices calls to LLM vendors behind them: a call waits neither for a look-up nor for the price library to load."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from telemetry import guard
from telemetry.bound import BoundCounter
from telemetry.catalogue import llm as catalogue
from telemetry.catalogue.llm import ModelLabels
from telemetry.domains import _llm_pricing as prices
from telemetry.domains._llm_usage import TokenUsage
from telemetry.instruments import Instruments
from telemetry.labels import clean

_MOST_WAITING = 1000
_MOST_LOOK_UPS = 1000


@dataclass(frozen=True, slots=True)
class Bill:
    """What is to be priced, and where the amount goes.

    Attributes:
        provider: The vendor.
        model: As sent to the vendor.
        usage: What the call is billed for.
        cost: Gets the amount.
        unpriced: Counts one where there is no price.
    """

    provider: str
    model: str
    usage: TokenUsage
    cost: BoundCounter[ModelLabels]
    unpriced: BoundCounter[ModelLabels] | None


class LlmBilling:
    """Bills that wait for the next collection; the first one starts a thread that loads the price library meanwhile.

    Args:
        instruments: Has the series that say which prices are used.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._price_table = instruments.fact(catalogue.PRICE_TABLE)
        self._waiting: deque[Bill] = deque()
        self._looked_up: set[tuple[str, str]] = set()
        self._begin()
        instruments.on_collect(self._collecting)
        instruments.on_reset(self._forget)

    def _begin(self) -> None:
        self._shows_price_table = False
        self._loader: threading.Thread | None = None

    def _forget(self) -> None:
        self._waiting.clear()
        self._begin()

    def add(self, bill: Bill) -> None:
        """Let a call be priced soon."""
        self._waiting.append(bill)
        if len(self._waiting) >= _MOST_WAITING:
            self.settle()
        elif self._loader is None and not prices.is_loaded():
            self._load()

    def _load(self) -> None:
        self._loader = threading.Thread(target=self.settle, name="telemetry-prices", daemon=True)
        try:
            self._loader.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self.settle()

    def settle(self) -> None:
        """Price everything that waits; the first look-up of a process loads the price library."""
        with prices.lock:
            while self._waiting:
                self._settle(self._waiting.popleft())

    def _collecting(self) -> None:
        """Leave to the loader what it is at: an export waits for the library no more than a call does."""
        if self._loader is None or not self._loader.is_alive():
            self.settle()

    def _settle(self, bill: Bill) -> None:
        labels: ModelLabels = {"provider": bill.provider, "model": bill.model}
        cost = None
        with guard.guarded("looking up a price"):
            cost = self._price(bill)
        with guard.guarded("counting the cost of an LLM call"):
            if cost is not None:
                bill.cost.add(cost, labels)
            elif bill.unpriced is not None:
                bill.unpriced.add(1, labels)

    def _price(self, bill: Bill) -> float | None:
        if not self._may_be_priced(bill.provider, bill.model):
            return None
        cost = prices.cost_in_usd(bill.provider, bill.model, bill.usage)
        if not self._shows_price_table:
            self._shows_price_table = True
            version, date = prices.price_table()
            self._price_table.set_all([({"version": version, "date": date}, 1)])
        return cost

    def _may_be_priced(self, provider: str, model: str) -> bool:
        """The price library remembers every name it was asked for: names without end must not reach it."""
        pair = (clean(provider), clean(model))
        if pair not in self._looked_up and len(self._looked_up) < _MOST_LOOK_UPS:
            self._looked_up.add(pair)
        return pair in self._looked_up and pair == (provider, model)
