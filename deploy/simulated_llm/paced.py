"""Plays an answer that is already decided: waits, sends, hangs or breaks off, and enters it in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from deploy.simulated_llm.fate import Fate
from deploy.simulated_llm.faults import VendorError
from deploy.simulated_llm.ledger import FREE, UNKNOWN_MODEL, Bill, Ledger

# Shorter sleeps are saved up: the event loop's clock is not finer.
_SHORTEST_SLEEP = 0.002
_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a streamed answer.

    Attributes:
        data: The bytes.
        tokens: Output tokens that had to be made for it.
        usage: Whether it tells the client the usage.
    """

    data: bytes
    tokens: int = 0
    usage: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, decided before anything is sent.

    Attributes:
        api: ``openai`` or ``anthropic``.
        pieces: The body; one piece when it is not streamed.
        model: What the ledger enters it under.
        bill: Of the whole answer.
        fate: What goes wrong.
        first: Seconds until the first token.
        per_token: Seconds for each further one.
        streamed: Whether the pieces are sent one by one.
    """

    api: str
    pieces: Sequence[Piece]
    model: str = UNKNOWN_MODEL
    bill: Bill = FREE
    fate: Fate = field(default_factory=Fate)
    first: float = 0.0
    per_token: float = 0.0
    streamed: bool = False
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def planned_error(status: int, frame: Answer) -> VendorError:
    """The error that is this answer's fate, to be raised; it comes no sooner than the answer would have."""
    error = VendorError(status, code=_CODES.get(status), model=frame.model)
    error.fate, error.first = frame.fate, frame.first
    return error


class Paced(Response):
    """The response that plays an answer."""

    def __init__(self, answer: Answer, ledger: Ledger) -> None:
        super().__init__(status_code=answer.status, media_type=answer.media_type, headers=dict(answer.headers))
        self._answer = answer
        self._ledger = ledger
        self._owed = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play it. Returning before the last byte makes the server break the connection off."""
        async with _departure(receive) as gone:
            if await self._pause(self._answer.fate.hang, gone):
                self._enter("aborted", FREE)
            elif self._answer.streamed:
                await self._play_stream(send, gone)
            else:
                await self._play_whole(send, gone)

    async def _play_whole(self, send: Send, gone: asyncio.Event) -> None:
        """A vendor finishes, and bills, an answer that nobody waits for any more."""
        answer, body = self._answer, b"".join(piece.data for piece in self._answer.pieces)
        await asyncio.sleep(answer.first + answer.per_token * answer.bill.completion)
        if gone.is_set():
            self._enter("aborted", answer.bill)
            return
        outcome = "dropped" if answer.fate.drop else "ok" if answer.status < 400 else str(answer.status)
        self._enter(outcome, answer.bill, reported=outcome == "ok")
        await self._start(send, {"content-length": str(len(body))})
        if not answer.fate.drop:
            await send({"type": "http.response.body", "body": body})

    async def _play_stream(self, send: Send, gone: asyncio.Event) -> None:
        """A vendor stops, and bills what it made so far, when the client leaves a stream."""
        answer, made, told, last = self._answer, 0, False, len(self._answer.pieces) - 1
        drop_after = self._drop_after()
        left = await self._pause(answer.first, gone)
        if not left:
            await self._start(send, {})
        for number, piece in enumerate(answer.pieces):
            left = left or await self._pause(answer.per_token * piece.tokens, gone)
            dropped = drop_after is not None and made + piece.tokens > drop_after
            if left or dropped:
                self._enter("aborted" if left else "dropped", replace(answer.bill, completion=made))
                return
            made, told = made + piece.tokens, told or piece.usage
            if number == last:
                self._enter("ok", answer.bill, reported=told)
            await send({"type": "http.response.body", "body": piece.data, "more_body": number < last})

    def _drop_after(self) -> int | None:
        fate = self._answer.fate
        if not fate.drop:
            return None
        most = max(0, self._answer.bill.completion - 1)
        return min(most, self._answer.bill.completion // 2 if fate.drop_after is None else fate.drop_after)

    async def _start(self, send: Send, headers: Mapping[str, str]) -> None:
        self.headers.update(headers)
        if self._answer.streamed:
            del self.headers["content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _pause(self, seconds: float, gone: asyncio.Event) -> bool:
        """Wait, and return whether the client has left."""
        self._owed += seconds
        if self._owed < _SHORTEST_SLEEP:
            await asyncio.sleep(0)
            return gone.is_set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._owed):
                await gone.wait()
        self._owed = 0.0
        return gone.is_set()

    def _enter(self, outcome: str, bill: Bill, *, reported: bool = False) -> None:
        self._ledger.enter(self._answer.api, self._answer.model, outcome, bill, reported=reported)


@asynccontextmanager
async def _departure(receive: Receive) -> AsyncIterator[asyncio.Event]:
    """An event that is set when the client leaves."""
    gone = asyncio.Event()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    watcher = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watcher.cancel()
