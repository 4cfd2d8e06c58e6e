"""The end of a server process, which no exit handler sees: uvicorn ends it by the signal it was stopped with."""

from __future__ import annotations

from anyio import to_thread
from starlette.types import Message, Send

from telemetry.process import get

_ENDS = {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}


def delivering(send: Send) -> Send:
    """``send`` of a lifespan that delivers what the process recorded before the server is told that it may end."""

    async def deliver_at_the_end(message: Message) -> None:
        if message["type"] in _ENDS:
            await to_thread.run_sync(get().deliver_before_exit)
        await send(message)

    return deliver_at_the_end
