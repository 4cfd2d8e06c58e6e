"""One call to an LLM vendor from its start to its end; ``domains/llm.py`` counts it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Protocol, Self

from telemetry import guard
from telemetry.domains.llm_tokens import TokenUsage
from telemetry.instrumentation.llm.stream import OnEnd, WatchedStream
from telemetry.instrumentation.llm.usage import StreamUsage, usage_of


class CallListener(Protocol):
    """Whom a call tells what happened."""

    def call_ended(self, provider: str, model: str, seconds: float) -> None:
        """A call to the vendor is over, however it ended."""

    def call_failed(self, error: BaseException) -> None:
        """A call to the vendor raised an exception."""

    def tokens_billed(self, provider: str, model: str, usage: TokenUsage | None) -> None:
        """The vendor reported the usage of a call; ``None`` where it reported none."""

    def first_token(self, provider: str, model: str, seconds: float) -> None:
        """A streamed reply began."""

    def stream_aborted(self, provider: str, model: str) -> None:
        """A streamed reply was not read to its end."""

    def tokens_estimated(self, provider: str, model: str, usage: TokenUsage, *, with_input: bool) -> None:
        """A streamed reply ended before all of its usage was reported."""


class LlmCall:
    """One call to a vendor: timed, and billed by the usage the vendor reports."""

    def __init__(self, listener: CallListener, provider: str, model: str, prompt: object = None) -> None:
        self._listener = listener
        self._provider = provider
        self._model = model
        self._prompt = prompt
        self._usage: TokenUsage | None = None
        self._stream: StreamUsage | None = None
        self._started = time.perf_counter()
        self._ended = False

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """The call is over; a second time does nothing.

        Args:
            error: What the call raised.
        """
        with guard.whole, guard.guarded("counting an LLM call"):
            if self._ended:
                return
            self._ended = True
            self._listener.call_ended(self._provider, self._model, time.perf_counter() - self._started)
            if isinstance(error, Exception):
                self._listener.call_failed(error)
            self._bill(failed=error is not None)

    def _bill(self, *, failed: bool) -> None:
        stream, usage = self._stream, self._usage
        if usage is None and stream is not None:
            usage = stream.reported
        if not failed or usage is not None or stream is not None:
            self._listener.tokens_billed(self._provider, self._model, usage)
        if stream is None or self._usage is not None or stream.is_complete:
            return
        if not stream.is_finished:
            self._listener.stream_aborted(self._provider, self._model)
        rest = stream.unreported(self._prompt)
        with_input = stream.reported is not None or rest.prompt > 0
        self._listener.tokens_estimated(self._provider, self._model, rest, with_input=with_input)

    def response(self, answer: object) -> None:
        """Take the usage from the vendor's answer: a client object or a dictionary."""
        with guard.guarded("reading the usage of an LLM answer"):
            self._usage = usage_of(answer)

    def usage(
        self,
        *,
        prompt_tokens: int = 0,
        cached_tokens: int = 0,
        completion_tokens: int = 0,
        audio_seconds: float = 0.0,
    ) -> None:
        """Set the usage by hand.

        Args:
            prompt_tokens: Input that was not read from the vendor's prompt cache.
            cached_tokens: Input that was.
            completion_tokens: Output.
            audio_seconds: Audio heard, for models priced by time.
        """
        self._usage = TokenUsage(
            prompt=prompt_tokens, cached=cached_tokens, completion=completion_tokens, audio_seconds=audio_seconds
        )

    def stream(self, chunks: Any, on_end: OnEnd | None = None) -> WatchedStream:
        """Pass a vendor's stream through and take the usage it reports; for ``for`` and ``async for``.

        Args:
            chunks: The vendor's stream.
            on_end: Called with what ended the stream: its end (``None``), an error, or its being closed.
        """
        self._stream = StreamUsage()
        return WatchedStream(chunks, self, on_end)

    def finished(self) -> None:
        """The stream was read to its end."""
        if self._stream is not None:
            self._stream.is_finished = True

    def saw(self, chunk: object) -> None:
        """A chunk of the stream arrived; never raises."""
        with guard.guarded("reading the usage of an LLM stream"):
            if self._stream is None:
                return
            began = self._stream.has_begun
            self._stream.see(chunk)
            if self._stream.has_begun and not began:
                self._listener.first_token(self._provider, self._model, time.perf_counter() - self._started)
