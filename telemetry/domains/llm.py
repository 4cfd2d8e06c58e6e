"""Records calls to LLM vendors; declared in ``catalogue/llm.py``."""

from __future__ import annotations

from typing import Literal

from telemetry import guard
from telemetry.bound import BoundCounter
from telemetry.catalogue import llm as catalogue
from telemetry.catalogue.llm import ModelLabels, TokenLabels
from telemetry.domains._llm_call import LlmCall
from telemetry.domains._llm_pricing import cost_in_usd, price_table
from telemetry.domains._llm_usage import TokenUsage
from telemetry.domains.errors import ErrorsRecorder
from telemetry.instruments import Instruments
from telemetry.labels import clean

_MOST_PROVIDERS = 100
_MOST_LOOK_UPS = 1000


class LlmRecorder:
    """Calls to vendors, the tokens and money they take, and requests answered from the response cache."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder) -> None:
        self._requests = instruments.counter(catalogue.REQUESTS)
        self._tokens = instruments.counter(catalogue.TOKENS)
        self._duration = instruments.histogram(catalogue.DURATION)
        self._cost = instruments.counter(catalogue.COST)
        self._cache_hits = instruments.counter(catalogue.CACHE_HITS)
        self._unpriced = instruments.counter(catalogue.UNPRICED)
        self._first_token = instruments.histogram(catalogue.FIRST_TOKEN)
        self._aborted = instruments.counter(catalogue.STREAMS_ABORTED)
        self._estimated = instruments.counter(catalogue.TOKENS_ESTIMATED)
        self._estimated_cost = instruments.counter(catalogue.COST_ESTIMATED)
        self._price_table = instruments.fact(catalogue.PRICE_TABLE)
        self._errors = errors
        self._shows_price_table = False
        self._own_providers: set[str] = set()
        self._looked_up: set[tuple[str, str]] = set()
        instruments.on_reset(self._forget_price_table)

    def _forget_price_table(self) -> None:
        self._shows_price_table = False

    def measures(self, provider: str) -> bool:
        """Whether the application itself records the calls to a vendor; instrumentors' records are then dropped."""
        return provider in self._own_providers

    def request(self, *, provider: str, model: str, messages: object = None) -> LlmCall:
        """A call to a vendor, as a context manager around it (also around ``await`` and streams).

        Args:
            provider: ``openai``, ``anthropic``, ``google``, …
            model: As sent to the vendor.
            messages: What is sent to the vendor, from which the input of a stream that is aborted can be estimated;
                nothing of it is kept or recorded.
        """
        if len(self._own_providers) < _MOST_PROVIDERS:
            with guard.guarded("noting a vendor"):
                self._own_providers.add(provider)
        return LlmCall(self, provider, model, messages)

    def cache_hit(self, *, provider: str, model: str) -> None:
        """A request was answered from the application's own response cache, without a call to the vendor."""
        labels: ModelLabels = {"provider": provider, "model": model}
        self._requests.add(1, labels)
        self._cache_hits.add(1, labels)

    def call_ended(self, provider: str, model: str, seconds: float) -> None:
        """A call to the vendor is over, however it ended."""
        labels: ModelLabels = {"provider": provider, "model": model}
        self._requests.add(1, labels)
        self._duration.record(seconds, labels)

    def call_failed(self, error: BaseException) -> None:
        """A call to the vendor raised an exception."""
        self._errors.occurred(error, component="llm")

    def tokens_billed(self, provider: str, model: str, usage: TokenUsage | None, *, new_call: bool = True) -> None:
        """The vendor reported the usage of a call.

        Args:
            provider: The vendor.
            model: As sent to the vendor.
            usage: What it reported; ``None`` where it reported none.
            new_call: Whether this is not the rest of what another record said; a call is unpriced once.
        """
        cost = None if usage is None else self._price(provider, model, usage)
        labels: ModelLabels = {"provider": provider, "model": model}
        if usage is not None:
            self._count_tokens(self._tokens, labels, usage)
        if cost is not None:
            self._cost.add(cost, labels)
        elif new_call:
            self._unpriced.add(1, labels)

    def first_token(self, provider: str, model: str, seconds: float) -> None:
        """The first text of a streamed reply arrived."""
        self._first_token.record(seconds, {"provider": provider, "model": model})

    def stream_aborted(self, provider: str, model: str) -> None:
        """A streamed reply was not read to its end."""
        self._aborted.add(1, {"provider": provider, "model": model})

    def tokens_estimated(self, provider: str, model: str, usage: TokenUsage, *, with_input: bool) -> None:
        """A streamed reply ended before the vendor reported all of its usage.

        Args:
            provider: The vendor.
            model: As sent to the vendor.
            usage: An estimate of what was not reported.
            with_input: Whether the input of the call is known; without it there is no cost, for half a cost is not one.
        """
        labels: ModelLabels = {"provider": provider, "model": model}
        self._count_tokens(self._estimated, labels, usage)
        cost = self._price(provider, model, usage) if with_input and usage.tokens else None
        if cost is not None:
            self._estimated_cost.add(cost, labels)

    def _price(self, provider: str, model: str, usage: TokenUsage) -> float | None:
        with guard.guarded("looking up a price"):
            if not self._may_be_priced(provider, model):
                return None
            cost = cost_in_usd(provider, model, usage)
            if not self._shows_price_table:
                self._shows_price_table = True
                version, date = price_table()
                self._price_table.set_all([({"version": version, "date": date}, 1)])
            return cost
        return None

    def _may_be_priced(self, provider: str, model: str) -> bool:
        """The price library remembers every name it was asked for: names without end must not reach it."""
        pair = (clean(provider), clean(model))
        if pair not in self._looked_up and len(self._looked_up) < _MOST_LOOK_UPS:
            self._looked_up.add(pair)
        return pair in self._looked_up and pair == (provider, model)

    def _count_tokens(self, counter: BoundCounter[TokenLabels], labels: ModelLabels, usage: TokenUsage) -> None:
        counts: tuple[tuple[Literal["prompt", "cached", "completion"], int], ...] = (
            ("prompt", usage.prompt),
            ("cached", usage.cached),
            ("completion", usage.completion),
        )
        for token_type, count in counts:
            counter.add(count, {**labels, "type": token_type})
