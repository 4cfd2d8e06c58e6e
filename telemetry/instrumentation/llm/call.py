"""One call to an LLM vendor from its start to its end; ``domains/llm.py`` counts it."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, overload

from telemetry import guard
from telemetry.domains.llm_tokens import TokenUsage
from telemetry.instrumentation.llm import covering
from telemetry.instrumentation.llm.stream import AwaitedStream, OnEnd, WatchedStream, watched_stream
from telemetry.instrumentation.llm.usage import BATCH, StreamUsage, usage_of
from telemetry.steps import Steps, complete


class CallListener(Protocol):
    """Whom a call tells what happened; what counts several things counts them in steps."""

    def steps_of_call(self, provider: str, model: str, seconds: float) -> Steps:
        """A call to the vendor is over, however it ended."""

    def call_failed(self, error: BaseException) -> None:
        """A call to the vendor raised an exception."""

    def steps_of_bill(self, provider: str, model: str, usage: TokenUsage | None) -> Steps:
        """The vendor reported the usage of a call; ``None`` where it reported none."""

    def first_token(self, provider: str, model: str, seconds: float) -> None:
        """A streamed reply began."""

    def stream_aborted(self, provider: str, model: str) -> None:
        """A streamed reply was not read to its end."""

    def steps_of_estimate(self, provider: str, model: str, usage: TokenUsage, *, with_input: bool) -> Steps:
        """A streamed reply ended before all of its usage was reported."""


class LlmCall:
    """One call to a vendor: timed, and billed by the usage the vendor reports.

    An exception that a signal handler raises in the middle of counting passes, after everything is counted.

    Args:
        listener: Counts it.
        provider: The vendor.
        model: As sent to the vendor.
        prompt: What is sent to the vendor.
        service_tier: What was asked for.

    Attributes:
        provider: The vendor.
        model: As sent to the vendor.
        is_found: Whether a hook found the call; else the program said it.
        part: Knows in the end whether it is another call, which counts.
    """

    is_found = False
    part: covering.PartElsewhere | None = None

    def __init__(
        self, listener: CallListener, provider: str, model: str, prompt: object = None, service_tier: str = ""
    ) -> None:
        self._listener = listener
        self.provider = provider
        self.model = model
        self._prompt = prompt
        self._service_tier = service_tier
        self._usage: TokenUsage | None = None
        self._stream: StreamUsage | None = None
        self._began_at: float | None = None
        self._started = time.perf_counter()
        self._ended = False
        self._cover: covering.Cover | None = None

    def __enter__(self) -> Self:
        self.start()
        self._cover = covering.begin(self, self.covers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._cover is not None:
                covering.end(self._cover)
        finally:
            self.end(error)

    def covers(self) -> bool:
        """Whether what a vendor's client is called for now is this call: until it is over, or its stream is at hand."""
        return not self._ended and self._stream is None

    def is_open(self) -> bool:
        """Whether it is not over yet."""
        return not self._ended

    def start(self) -> None:
        """The call begins now, and not when this object was made."""
        self._started = time.perf_counter()

    def end(self, error: BaseException | None = None) -> None:
        """The call is over; a second time does nothing.

        Args:
            error: What the call raised.
        """
        if self._ended:
            return
        self._ended = True
        if self.part is not None and not self.part.is_another(error):
            return
        left: Steps = [lambda: self._plan(left, error)]
        try:
            with guard.guarded("counting an LLM call"):
                complete(left)
        finally:
            if left:  # interrupted before anything was counted
                complete(left)

    def _plan(self, steps: Steps, error: BaseException | None) -> None:
        """Put behind this step, which is taken once as any other, what has to be counted."""
        seconds = time.perf_counter() - self._started
        planned = self._listener.steps_of_call(self.provider, self.model, seconds)
        if self.part is not None and self._began_at is not None:
            to_first_token = self._began_at - self._started
            planned.append(lambda: self._listener.first_token(self.provider, self.model, to_first_token))
        if isinstance(error, Exception):
            planned.append(lambda: self._listener.call_failed(error))
        planned += self._steps_of_bill(failed=error is not None)
        planned += self._steps_of_estimate()
        steps[1:] = planned

    def _steps_of_bill(self, *, failed: bool) -> Steps:
        stream, usage = self._stream, self._usage
        if usage is None and stream is not None:
            usage = stream.reported
        if failed and usage is None and stream is None:
            return []
        return self._listener.steps_of_bill(self.provider, self.model, self._served(usage))

    def _steps_of_estimate(self) -> Steps:
        stream = self._stream
        if stream is None or self._usage is not None or stream.is_complete:
            return []
        rest = stream.unreported(self._prompt)
        with_input = stream.reported is not None or rest.prompt > 0
        served = self._served(rest) or rest
        steps = self._listener.steps_of_estimate(self.provider, self.model, served, with_input=with_input)
        if not stream.is_finished:
            steps.append(lambda: self._listener.stream_aborted(self.provider, self.model))
        return steps

    def _served(self, usage: TokenUsage | None) -> TokenUsage | None:
        """The usage with the tier it was served in: what the answer says, unless the answer is of a batch."""
        if usage is None or (usage.service_tier and self._service_tier != BATCH):
            return usage
        return replace(usage, service_tier=self._service_tier) if self._service_tier else usage

    def response(self, answer: object) -> None:
        """Take the usage from the vendor's answer: a client object or a dictionary."""
        with guard.guarded("reading the usage of an LLM answer"):
            complete([lambda: self._take(usage_of(answer))])

    def _take(self, usage: TokenUsage | None) -> None:
        self._usage = usage

    def usage(
        self,
        *,
        prompt_tokens: int = 0,
        cached_tokens: int = 0,
        completion_tokens: int = 0,
        cache_written_tokens: int = 0,
        cache_written_1h_tokens: int = 0,
        audio_seconds: float = 0.0,
    ) -> None:
        """Set the usage by hand.

        Args:
            prompt_tokens: Input that was not read from the vendor's prompt cache.
            cached_tokens: Input that was.
            completion_tokens: Output.
            cache_written_tokens: The part of ``prompt_tokens`` that was written to the vendor's prompt cache.
            cache_written_1h_tokens: The part of ``cache_written_tokens`` that is kept there for an hour.
            audio_seconds: Audio heard, for models priced by time.
        """
        self._usage = TokenUsage(
            prompt=prompt_tokens,
            cached=cached_tokens,
            completion=completion_tokens,
            cache_written=cache_written_tokens,
            cache_written_1h=cache_written_1h_tokens,
            audio_seconds=audio_seconds,
        )

    @overload
    def stream(self, chunks: Awaitable[Any], on_end: OnEnd | None = None) -> AwaitedStream: ...

    @overload
    def stream(self, chunks: object, on_end: OnEnd | None = None) -> WatchedStream: ...

    def stream(self, chunks: Any, on_end: OnEnd | None = None) -> WatchedStream:
        """Pass a vendor's stream through and take the usage it reports; for ``for`` and ``async for``.

        Args:
            chunks: The vendor's stream, or what gives it when it is awaited or entered (``messages.stream(…)``).
            on_end: Called with what ended the stream: its end (``None``), an error, or its being closed.
        """
        self._stream = StreamUsage()
        return watched_stream(chunks, self, on_end)

    def finished(self) -> None:
        """The stream was read to its end."""
        if self._stream is not None:
            self._stream.is_finished = True

    def saw(self, chunk: object) -> None:
        """A chunk of the stream arrived; raises nothing of its own."""
        stream = self._stream
        if stream is None:
            return
        steps: Steps = [lambda: stream.see(chunk)]
        if self._began_at is None:
            steps.append(lambda: self._has_begun(stream))
        with guard.guarded("reading the usage of an LLM stream"):
            complete(steps)

    def _has_begun(self, stream: StreamUsage) -> None:
        if stream.has_begun:
            now = time.perf_counter()
            if self.part is None:
                self._listener.first_token(self.provider, self.model, now - self._started)
            self._began_at = now
