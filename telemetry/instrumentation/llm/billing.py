"""Prices calls to LLM vendors: in the call, once the price library is loaded; until then it notes what to price.

Loading takes half a second, which no call should wait for. What is noted is in the box, so that whoever delivers for a
dead process prices its calls.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

from telemetry import guard
from telemetry.box.box import Box
from telemetry.box.identity import ReadEntry, attributes_of
from telemetry.catalogue import llm as catalogue
from telemetry.catalogue.llm import ModelLabels
from telemetry.domains.llm_tokens import TokenUsage
from telemetry.instrumentation.llm import pricing as prices
from telemetry.metrics.bound import BoundCounter
from telemetry.metrics.catalogue_instruments import Instruments
from telemetry.metrics.clamp import clean
from telemetry.metrics.provider import MeterProvider
from telemetry.metrics.series import CounterSeries

NOTE = "llm_bill"

_MOST_NOTED = 1000
_MOST_LOOK_UPS = 1000


@dataclass(frozen=True)
class Bill:
    """What is to be priced, and where the amount goes.

    Attributes:
        provider: The vendor.
        model: As sent to the vendor.
        usage: What the call is billed for.
        estimated: Whether the usage is an estimate.
        counts_unpriced: Whether a call without a price counts as one; it does once.
    """

    provider: str
    model: str
    usage: TokenUsage
    estimated: bool = False
    counts_unpriced: bool = True


class Amount(NamedTuple):
    """What a call adds to a counter."""

    counter: BoundCounter[ModelLabels]
    labels: ModelLabels
    value: float


class LlmBilling:
    """Costs of calls, as they are made or as soon as the price library is there.

    Args:
        instruments: Have the series that amounts go to.
        provider: Keeps the notes.
    """

    def __init__(self, instruments: Instruments, provider: MeterProvider) -> None:
        self._price_table = instruments.fact(catalogue.PRICE_TABLE)
        self._cost = instruments.counter(catalogue.COST)
        self._estimated_cost = instruments.counter(catalogue.COST_ESTIMATED)
        self._unpriced = instruments.counter(catalogue.UNPRICED)
        self._notes = provider.notes(NOTE)
        self._looked_up: set[tuple[str, str]] = set()
        self._begin()

    def _begin(self) -> None:
        self._shows_price_table = False
        self._loader: threading.Thread | None = None
        self._noted = 0

    def after_fork_in_child(self) -> None:
        """The loader is the parent's, and so are its notes."""
        self._begin()

    def add(
        self,
        provider: str,
        model: str,
        usage: TokenUsage,
        *,
        estimated: bool = False,
        counts_unpriced: bool = True,
    ) -> None:
        """Price a call, now or soon."""
        bill = Bill(provider, model, usage, estimated, counts_unpriced)
        if prices.is_ready():
            self._count(bill)
            return
        self._notes.bind(_noted(bill)).update(1)
        self._noted += 1
        if self._noted >= _MOST_NOTED:
            self.settle()
        elif self._loader is None and not prices.is_lost():
            self._load()

    def _load(self) -> None:
        self._loader = threading.Thread(target=self.settle, name="telemetry-prices", daemon=True)
        try:
            self._loader.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self.settle()

    def collecting(self) -> None:
        """Price what is noted, but leave to the loader what it is at: nothing waits for the library."""
        if self._noted and (self._loader is None or not self._loader.is_alive()):
            self.settle()

    def settle(self) -> None:
        """Price everything that is noted, where that can be done; the first look-up loads the price library."""
        if prices.is_lost():
            return
        with prices.lock:
            self._noted = 0
            for note in self._notes.all():
                self._settle(cast("CounterSeries", note))

    def _settle(self, note: CounterSeries) -> None:
        """Price a note as often as it stands for a call; the price is there before the note goes."""
        for _ in range(round(note.standing())):
            amount = None
            with guard.guarded("pricing a noted LLM call"):
                amount = self._amount(_bill(attributes_of(note)))
            with guard.guarded("counting a noted LLM call"), self._notes.lock:
                if not note.standing():  # its box was given up meanwhile, for others to deliver
                    return
                if amount is None:
                    note.take_back(1)
                else:
                    amount.counter.declare(amount.labels)
                    note.exchange(amount.counter.bind(amount.labels), amount.value)

    def settle_for(self, box: Box) -> bool:
        """Price what a dead process had noted, into its own box; whether that worked."""
        if prices.is_lost():
            return next(iter(box.notes(NOTE)), None) is None
        with prices.lock:
            for segment, (note, (count,)) in list(box.notes(NOTE)):
                amount = None
                with guard.guarded("pricing LLM calls that a dead process had noted"):
                    amount = self._amount(_bill(attributes_of(note)))
                series = amount and amount.counter.bind(amount.labels)
                for left in reversed(range(round(count))):
                    segment.put(note, [left])  # first: a kill in between loses a call, and doubles none
                    if amount and series:
                        box.count(ReadEntry(series.identity, series.keys, series.values), amount.value)
        return True

    def _count(self, bill: Bill) -> None:
        amount = self._amount(bill)
        if amount is not None:
            amount.counter.add(amount.value, amount.labels)

    def _amount(self, bill: Bill) -> Amount | None:
        """What a call adds to which counter."""
        labels: ModelLabels = {"provider": bill.provider, "model": bill.model}
        cost = None
        with guard.guarded("looking up a price"):
            cost = self._price(bill)
        if cost is not None:
            return Amount(self._estimated_cost if bill.estimated else self._cost, labels, cost)
        return Amount(self._unpriced, labels, 1) if bill.counts_unpriced else None

    def _price(self, bill: Bill) -> float | None:
        with prices.lock:
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


def _noted(bill: Bill) -> Mapping[str, Any]:
    return {**asdict(bill), "usage": json.dumps(asdict(bill.usage), default=repr)}


def _bill(noted: Mapping[str, Any]) -> Bill:
    return Bill(**{**noted, "usage": TokenUsage(**json.loads(noted["usage"]))})
