"""What an application says of its calls to LLM vendors: each call, and who measures a vendor's calls."""

from __future__ import annotations

from telemetry import guard
from telemetry.domains.errors import ErrorsRecorder
from telemetry.domains.llm import Billing, LlmRecorder
from telemetry.instrumentation.llm.call import LlmCall
from telemetry.metrics.catalogue_instruments import Instruments

_MOST_PROVIDERS = 100


class LlmCalls(LlmRecorder):
    """Calls to vendors, the tokens and money they take, and requests answered from the response cache."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder, billing: Billing) -> None:
        super().__init__(instruments, errors, billing)
        self._own_providers: set[str] = set()

    def measures(self, provider: str) -> bool:
        """Whether the application itself records the calls to a vendor; instrumentors' records are then dropped."""
        return provider in self._own_providers

    def claim(self, provider: str) -> None:
        """Calls that instrumentors record under this name are recorded here already."""
        if len(self._own_providers) < _MOST_PROVIDERS:
            with guard.guarded("noting a vendor"):
                self._own_providers.add(provider)

    def request(self, *, provider: str, model: str, messages: object = None, service_tier: object = None) -> LlmCall:
        """A call to a vendor, as a context manager around it (also around ``await`` and streams).

        Args:
            provider: ``openai``, ``anthropic``, ``google``, …
            model: As sent to the vendor.
            messages: What is sent to the vendor, from which the input of a stream that is aborted can be estimated;
                nothing of it is kept or recorded.
            service_tier: What is asked for (``flex``, ``priority``, …), for a vendor whose answer does not say how it
                served the call. ``batch`` for an answer that comes from a batch holds whatever the answer says.
        """
        self.claim(provider)
        tier = service_tier if isinstance(service_tier, str) else ""
        return LlmCall(self, provider, model, messages, tier)
