"""Records calls to LLM vendors; declared in ``catalogue/llm.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from telemetry.catalogue import llm as catalogue
from telemetry.catalogue.llm import ModelLabels, TokenLabels
from telemetry.domains.errors import ErrorsRecorder
from telemetry.domains.llm_tokens import TokenUsage
from telemetry.metrics.bound import BoundCounter
from telemetry.metrics.catalogue_instruments import Instruments
from telemetry.steps import Steps, complete


class Billing(Protocol):
    """Who knows what a call costs."""

    def steps_of(
        self,
        provider: str,
        model: str,
        usage: TokenUsage,
        *,
        estimated: bool = False,
        counts_unpriced: bool = True,
    ) -> Steps:
        """What prices a call, now or soon.

        Args:
            provider: The vendor.
            model: As sent to the vendor.
            usage: What the call is billed for.
            estimated: Whether the usage is an estimate.
            counts_unpriced: Whether a call without a price counts as one; it does once.
        """

    def settle_soon(self) -> None:
        """See to it that what could not be priced now is priced."""


class LlmRecorder:
    """Calls to vendors, the tokens and money they take, and requests answered from the response cache."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder, billing: Billing) -> None:
        self._requests = instruments.counter(catalogue.REQUESTS)
        self._tokens = instruments.counter(catalogue.TOKENS)
        self._duration = instruments.histogram(catalogue.DURATION)
        self._cache_hits = instruments.counter(catalogue.CACHE_HITS)
        self._unpriced = instruments.counter(catalogue.UNPRICED)
        self._first_token = instruments.histogram(catalogue.FIRST_TOKEN)
        self._aborted = instruments.counter(catalogue.STREAMS_ABORTED)
        self._estimated = instruments.counter(catalogue.TOKENS_ESTIMATED)
        self._billing = billing
        self._errors = errors

    def cache_hit(self, *, provider: str, model: str) -> None:
        """A request was answered from the application's own response cache, without a call to the vendor."""
        labels: ModelLabels = {"provider": provider, "model": model}
        complete([lambda: self._requests.add(1, labels), lambda: self._cache_hits.add(1, labels)])

    def call_ended(self, provider: str, model: str, seconds: float) -> None:
        """A call to the vendor is over, however it ended."""
        complete(self.steps_of_call(provider, model, seconds))

    def steps_of_call(self, provider: str, model: str, seconds: float) -> Steps:
        """What a call to the vendor counts at its end."""
        labels: ModelLabels = {"provider": provider, "model": model}
        return [lambda: self._requests.add(1, labels), lambda: self._duration.record(seconds, labels)]

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
        complete(self.steps_of_bill(provider, model, usage, new_call=new_call))

    def steps_of_bill(self, provider: str, model: str, usage: TokenUsage | None, *, new_call: bool = True) -> Steps:
        """What the usage of a call counts."""
        labels: ModelLabels = {"provider": provider, "model": model}
        if usage is None:
            return [lambda: self._unpriced.add(1, labels)] if new_call else []
        return [
            *_steps_of_tokens(self._tokens, labels, usage),
            lambda: self._billing.steps_of(provider, model, usage, counts_unpriced=new_call),
            self._billing.settle_soon,
        ]

    def first_token(self, provider: str, model: str, seconds: float) -> None:
        """The first text of a streamed reply arrived."""
        self._first_token.record(seconds, {"provider": provider, "model": model})

    def stream_aborted(self, provider: str, model: str) -> None:
        """A streamed reply was not read to its end."""
        self._aborted.add(1, {"provider": provider, "model": model})

    def steps_of_estimate(self, provider: str, model: str, usage: TokenUsage, *, with_input: bool) -> Steps:
        """What a streamed reply counts that ended before the vendor reported all of its usage.

        Args:
            provider: The vendor.
            model: As sent to the vendor.
            usage: An estimate of what was not reported.
            with_input: Whether the input of the call is known; without it there is no cost, for half a cost is not one.
        """
        labels: ModelLabels = {"provider": provider, "model": model}
        steps = _steps_of_tokens(self._estimated, labels, usage)
        if with_input and usage.tokens:
            steps.append(lambda: self._billing.steps_of(provider, model, usage, estimated=True, counts_unpriced=False))
            steps.append(self._billing.settle_soon)
        return steps


def _steps_of_tokens(counter: BoundCounter[TokenLabels], labels: ModelLabels, usage: TokenUsage) -> Steps:
    def of(count: int, token_type: Literal["prompt", "cached", "completion"]) -> Callable[[], None]:
        series: TokenLabels = {**labels, "type": token_type}
        return lambda: counter.add(count, series)

    return [of(usage.prompt, "prompt"), of(usage.cached, "cached"), of(usage.completion, "completion")]
