"""Prices calls to LLM vendors: in the call, once the price library is loaded; until then it notes what to price.

Loading takes half a second, which no call should wait for. What is noted is in the box, so that whoever delivers for a
dead process prices its calls.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal, NamedTuple

from telemetry import guard
from telemetry.box.box import Box
from telemetry.box.identity import ReadEntry, attributes_of
from telemetry.catalogue import llm as catalogue
from telemetry.catalogue.llm import ModelLabels
from telemetry.domains.llm_tokens import TokenUsage
from telemetry.instrumentation.llm import pricing as prices
from telemetry.instrumentation.llm.notes import NOTE, Bill, Notes, bill_of
from telemetry.metrics.bound import BoundCounter
from telemetry.metrics.catalogue_instruments import Instruments
from telemetry.metrics.clamp import clean
from telemetry.metrics.provider import MeterProvider
from telemetry.metrics.series import CounterSeries
from telemetry.settings import llm_prices
from telemetry.settings.llm_prices import Override
from telemetry.steps import Step, Steps

_MOST_LOOK_UPS = 1000


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
        negotiated: Prices that go before those of the price library.
    """

    def __init__(self, instruments: Instruments, provider: MeterProvider, negotiated: Sequence[Override] = ()) -> None:
        self._negotiated = negotiated
        self._price_table = instruments.fact(catalogue.PRICE_TABLE)
        self._cost = instruments.counter(catalogue.COST)
        self._estimated_cost = instruments.counter(catalogue.COST_ESTIMATED)
        self._unpriced = instruments.counter(catalogue.UNPRICED)
        self._notes = Notes(provider)
        self._looked_up: set[tuple[str, str]] = set()
        self._begin()

    def _begin(self) -> None:
        self._has_priced = False
        self._shows_price_table = False
        self._loader: threading.Thread | None = None
        self._has_noted = False
        self._is_settling = False
        self._settling = threading.RLock()

    def after_fork_in_child(self) -> None:
        """The loader is the parent's, and so are its notes."""
        self._begin()

    def steps_of(
        self,
        provider: str,
        model: str,
        usage: TokenUsage,
        *,
        estimated: bool = False,
        counts_unpriced: bool = True,
    ) -> Steps:
        """What prices a call now, where that takes no time; else what notes it, to be priced soon."""
        bill = Bill(provider, model, usage, estimated, counts_unpriced)
        if prices.is_ready() and not self._is_settling:
            return [lambda: self._count(bill)]
        return self._steps_of_note(bill)

    def settle_soon(self) -> None:
        """Let a thread price what is noted, once; it is the one that loads the price library."""
        if self._has_noted and self._loader is None and not prices.is_lost():
            self._load()

    def _steps_of_note(self, bill: Bill) -> Steps:
        missing: list[Bill] = []

        def step_of(part: Bill) -> Step:
            return lambda: None if self._is_noted(part, missing) else missing.append(part)

        parts = reversed(self._notes.parts_of(bill))  # the one that counts as a call without a price comes last
        return [*map(step_of, parts), lambda: self._noted(bill, missing)]

    def _is_noted(self, part: Bill, missing: Sequence[Bill]) -> bool:
        """Whether there was room for a part; a call of which another part is missing counts as one without a price."""
        return not (missing and part.counts_unpriced) and self._notes.add(part)

    def _noted(self, bill: Bill, missing: Sequence[Bill]) -> None:
        self._has_noted = True
        if missing and bill.counts_unpriced:
            self._unpriced.add(1, {"provider": bill.provider, "model": bill.model})

    def _load(self) -> None:
        self._loader = threading.Thread(target=self.settle, name="telemetry-prices", daemon=True)
        try:
            self._loader.start()
        except RuntimeError:  # no more threads, or the interpreter is ending: the next collection does it
            return

    def collecting(self) -> None:
        """Price what is noted, but leave to the loader what it is at: nothing waits for the library."""
        if self._loader is None or not self._loader.is_alive():
            self.settle()

    def settle(self) -> None:
        """Price everything that is noted, where that can be done; the first look-up loads the price library.

        Whoever else does it meanwhile is waited for.
        """
        if prices.is_lost():
            return
        with self._settling:
            if self._has_noted:
                self._settle_all()
            if self._has_priced and not self._shows_price_table:
                self._show_price_table()

    def _settle_all(self) -> None:
        self._has_noted = False
        self._is_settling = True  # calls are noted meanwhile, and wait for no lock
        try:
            for note in self._notes.all():
                self._settle(note)
        except BaseException:
            self._has_noted = True
            raise
        finally:
            self._is_settling = False

    def _settle(self, note: CounterSeries) -> None:
        """Price a note as often as it stands for a call; the price is there before the note goes."""
        calls = round(note.standing())
        if not calls:
            return
        amount = None
        with guard.guarded("pricing a noted LLM call"):
            amount = self._amount(bill_of(attributes_of(note)))
        for _ in range(calls):
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
        for segment, (note, (count,)) in list(box.notes(NOTE)):
            amount = None
            with guard.guarded("pricing LLM calls that a dead process had noted"):
                amount = self._amount(bill_of(attributes_of(note)))
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
        with prices.library.lock:
            if not self._may_be_priced(bill.provider, bill.model):
                return None
            cost = llm_prices.cost_in_usd(self._negotiated, bill.provider, bill.model, bill.usage)
            if cost is None:
                cost = prices.cost_in_usd(bill.provider, bill.model, bill.usage)
            self._has_priced = True
            return cost

    def _show_price_table(self) -> None:
        self._shows_price_table = True
        with guard.guarded("reading the age of the price table"), prices.library.lock:
            version, date = prices.price_table()
            has_overrides: Literal["yes", "no"] = "yes" if self._negotiated else "no"
            self._price_table.set_all([({"version": version, "date": date, "overrides": has_overrides}, 1)])

    def _may_be_priced(self, provider: str, model: str) -> bool:
        """The price library remembers every name it was asked for: names without end must not reach it."""
        pair = (clean(provider), clean(model))
        if pair not in self._looked_up and len(self._looked_up) < _MOST_LOOK_UPS:
            self._looked_up.add(pair)
        return pair in self._looked_up and pair == (provider, model)
