"""kombu's Redis transport, with one error named right so that a worker outlives its broker; nothing else is changed."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, Transport
from redis.exceptions import ConnectionError as RedisConnectionError


class SteadyChannel(Channel):
    """A channel that says so when its connection is gone.

    A task that ends after its connection was lost is acknowledged on the old channel. In kombu 5.7 that is an
    AttributeError, which ends the worker; a connection error is logged, and the worker goes on. The broker gives the
    message out again after its visibility timeout, and a task that has ended does not run twice (see `worker.running`).
    """

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if getattr(self.connection, "client", None) is None:
            raise RedisConnectionError("the connection of this channel is closed")
        parameters: dict[str, Any] = super()._connparams(asynchronous=asynchronous)
        return parameters


class SteadyTransport(Transport):
    """The Redis transport with such channels."""

    Channel = SteadyChannel


def install() -> None:
    """Make redis:// mean this transport; the broker URL itself has to stay as it is for everyone who reads it."""
    TRANSPORT_ALIASES["redis"] = f"{__name__}:{SteadyTransport.__name__}"
