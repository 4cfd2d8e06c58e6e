"""Names the queues the broker puts a message in, by the application's own declarations; it talks to no broker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from celery import Celery

UNKNOWN = "unknown"
_REMEMBERED = 1000


class QueueNames:
    """From exchange and routing key to queue, for what is published and for what a worker received.

    Args:
        app: The application whose declared queues are known.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._matched: dict[tuple[str, str], tuple[str, ...]] = {}

    def declared(self) -> list[str]:
        """The queues of the application, without those a broadcast makes for each worker."""
        return [name for name, queue in list(self._app.amqp.queues.items()) if not getattr(queue, "alias", None)]

    def published_to(self, exchange: Any, routing_key: str | None) -> tuple[str, ...]:
        """Every queue that gets a copy of the message; ``unknown`` where no declared queue is bound to its key."""
        name, key = str(getattr(exchange, "name", exchange) or ""), routing_key or ""
        if not name:  # the anonymous exchange: the key is the queue
            return (key or UNKNOWN,)
        return self._matched.get((name, key)) or self._match(name, key) or (UNKNOWN,)

    def received_from(self, delivery_info: Mapping[str, Any] | None) -> str:
        """The queue a worker got the message from; of several possible ones, one that this worker consumes.

        What a message says of it may be anybody's words: ``unknown`` where the worker knows no such queue.
        """
        exchange, key = ((delivery_info or {}).get(name) or "" for name in ("exchange", "routing_key"))
        queues = self._app.amqp.queues
        if not isinstance(key, str) or (not exchange and key not in queues):
            return UNKNOWN
        names = self.published_to(exchange, key)
        if len(names) > 1:
            return next((name for name in names if name in queues.consume_from), names[0])
        return names[0]

    def _match(self, exchange: str, key: str) -> tuple[str, ...]:
        takers = [queue for queue in list(self._app.amqp.queues.values()) if _takes(queue, exchange, key)]
        names = tuple(dict.fromkeys(str(getattr(queue, "alias", None) or queue.name) for queue in takers))
        if names and len(self._matched) < _REMEMBERED:
            self._matched[exchange, key] = names
        return names


def _takes(queue: Any, exchange: str, key: str) -> bool:
    return any(
        bound is not None and bound.name == exchange and _binds(bound.type, pattern or "", key)
        for bound, pattern in _bindings(queue)
    )


def _bindings(queue: Any) -> Iterator[tuple[Any, str | None]]:
    yield queue.exchange, queue.routing_key
    for binding in queue.bindings or ():
        yield binding.exchange, binding.routing_key


def _binds(exchange_type: str, pattern: str, key: str) -> bool:
    if exchange_type == "fanout":
        return True
    if exchange_type == "topic":
        return _topic(pattern).fullmatch(f".{key}") is not None
    return pattern == key


def _topic(pattern: str) -> re.Pattern[str]:
    """``*`` is one word, ``#`` any number of words, none included; each word is led by its dot."""
    wildcards = {"*": r"\.[^.]+", "#": r"(?:\.[^.]+)*"}
    return re.compile("".join(wildcards.get(word, r"\." + re.escape(word)) for word in pattern.split(".")))
