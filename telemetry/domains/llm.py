"""Records calls to LLM vendors; declared in ``catalogue/llm.py``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Literal, Self

from telemetry import guard
from telemetry.catalogue import llm as catalogue
from telemetry.catalogue.llm import ModelLabels
from telemetry.domains._llm_pricing import cost_in_usd
from telemetry.domains._llm_usage import StreamUsage, TokenUsage, usage_of
from telemetry.domains.errors import ErrorsRecorder
from telemetry.instruments import Instruments


class LlmRecorder:
    """Calls to vendors, the tokens and money they take, and requests answered from the response cache."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder) -> None:
        self._requests = instruments.counter(catalogue.REQUESTS)
        self._tokens = instruments.counter(catalogue.TOKENS)
        self._duration = instruments.histogram(catalogue.DURATION)
        self._cost = instruments.counter(catalogue.COST)
        self._cache_hits = instruments.counter(catalogue.CACHE_HITS)
        self._unpriced = instruments.counter(catalogue.UNPRICED)
        self._errors = errors

    def request(self, *, provider: str, model: str) -> LlmCall:
        """A call to a vendor, as a context manager around it (also around ``await`` and streams).

        Args:
            provider: ``openai``, ``anthropic``, ``google``, …
            model: As sent to the vendor.
        """
        return LlmCall(self, provider, model)

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

    def tokens_billed(self, provider: str, model: str, usage: TokenUsage | None) -> None:
        """The vendor reported the usage of a call; ``None`` where it reported none."""
        cost = None if usage is None else self._price(provider, model, usage)
        labels: ModelLabels = {"provider": provider, "model": model}
        if usage is not None:
            self._count_tokens(labels, usage)
        if cost is None:
            self._unpriced.add(1, labels)
        else:
            self._cost.add(cost, labels)

    def _price(self, provider: str, model: str, usage: TokenUsage) -> float | None:
        with guard.guarded("looking up a price"):
            return cost_in_usd(provider, model, usage)
        return None

    def _count_tokens(self, labels: ModelLabels, usage: TokenUsage) -> None:
        counts: tuple[tuple[Literal["prompt", "cached", "completion"], int], ...] = (
            ("prompt", usage.prompt),
            ("cached", usage.cached),
            ("completion", usage.completion),
        )
        for token_type, count in counts:
            self._tokens.add(count, {**labels, "type": token_type})


class LlmCall:
    """One call to a vendor: timed, and billed by the usage the vendor reports."""

    def __init__(self, recorder: LlmRecorder, provider: str, model: str) -> None:
        self._recorder = recorder
        self._provider = provider
        self._model = model
        self._usage: TokenUsage | None = None
        self._stream: StreamUsage | None = None
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._recorder.call_ended(self._provider, self._model, time.perf_counter() - self._started)
        usage = self._stream.usage if self._usage is None and self._stream is not None else self._usage
        if isinstance(error, Exception):
            self._recorder.call_failed(error)
        if error is None or usage is not None or self._stream is not None:
            self._recorder.tokens_billed(self._provider, self._model, usage)

    def response(self, answer: object) -> None:
        """Take the usage from the vendor's answer: a client object or a dictionary."""
        with guard.guarded("reading the usage of an LLM answer"):
            self._usage = usage_of(answer)

    def usage(self, *, prompt_tokens: int, cached_tokens: int = 0, completion_tokens: int) -> None:
        """Set the usage by hand.

        Args:
            prompt_tokens: Input that was not read from the vendor's prompt cache.
            cached_tokens: Input that was.
            completion_tokens: Output.
        """
        self._usage = TokenUsage(prompt=prompt_tokens, cached=cached_tokens, completion=completion_tokens)

    def stream(self, chunks: Any) -> WatchedStream:
        """Pass a vendor's stream through and take the usage it reports; for ``for`` and ``async for``."""
        self._stream = StreamUsage()
        return WatchedStream(chunks, self._stream)


class WatchedStream:
    """A vendor's stream, unchanged, whose usage is noted on the way."""

    def __init__(self, chunks: Any, usage: StreamUsage) -> None:
        self._chunks = chunks
        self._usage = usage

    def __iter__(self) -> Iterator[Any]:
        for chunk in self._chunks:
            self._see(chunk)
            yield chunk

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for chunk in self._chunks:
            self._see(chunk)
            yield chunk

    def _see(self, chunk: Any) -> None:
        with guard.guarded("reading the usage of an LLM stream"):
            self._usage.see(chunk)
