"""An AMQP broker, which keeps no keys: exclusive queues are lease and heartbeat, one queue is the memory.

An exclusive queue lives as long as the connection that declared it, and is refused to all others: whoever holds the
lease queue reports, and a worker's queue is gone the moment its process is. Announcements wait in a plain queue; the
reporting process reads them without acknowledging, so that they are there again for the next one. One of them is the
broker's fingerprint.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kombu.exceptions import ChannelError

from telemetry.instrumentation.celery.broker import KNOWN_FOR, MAX_QUEUES

ANNOUNCE_EVERY = 600.0
MAX_KNOWN = 1000
FINGERPRINT = "fingerprint"
NOT_FOUND, LOCKED = "404", "405"
LONGEST_NAME = 255


class AmqpBroker:
    """Lease, workers and queues by exclusive queues of this process's own connection.

    Args:
        connection: A connected connection of kombu that nothing else uses.
        namespace: Fleets that share a virtual host are told apart by it.
    """

    def __init__(self, connection: Any, namespace: str) -> None:
        self._connection = connection
        self._prefix = f"telemetry.celery.{namespace}."
        self._channel = connection.channel()
        self._announced: dict[str, tuple[float, dict[str, Any]]] = {}
        self._reading: Any = None
        self._leads = False
        self._fingerprint: str | None = None
        self._has_looked = False
        self._known: dict[str, tuple[float, dict[str, Any], Any]] = {}
        arguments = {"x-message-ttl": KNOWN_FOR * 1000, "x-max-length": MAX_KNOWN}
        self._channel.queue_declare(self._prefix + "known", durable=True, auto_delete=False, arguments=arguments)

    def attend(self, worker: str | None, queues: Iterable[str], lease: float) -> bool:
        """Say that this process, its worker and its queues exist; whether this process is the one that reports."""
        self._connection.heartbeat_check()
        if worker is not None:
            self._hold(f"worker.{worker}")
        self._announce("process", {"worker": worker, "queues": list(queues)[:MAX_QUEUES]})
        self._leads = self._leads or self._hold("lease")
        if self._leads:
            self._read_announcements()
            self._settle_fingerprint()
        return self._leads

    def workers(self) -> dict[str, bool]:
        """The worker nodes announced within the last hour, and whether they are alive."""
        names = [said["worker"] for _, said, _ in self._latest_first() if said.get("worker")]
        return {name: self._exists(f"worker.{name}") for name in names}

    def queue_lengths(self) -> dict[str, int]:
        """The messages ready in each queue that any process named; what is unacknowledged is not waiting."""
        names = dict.fromkeys(name for _, said, _ in self._latest_first() for name in said["queues"])
        return {name: self._length(name) for name in list(names)[:MAX_QUEUES]}

    def unacked(self) -> int | None:
        """Not known: AMQP does not say."""
        return None

    def oldest(self) -> dict[str, float]:
        """Not known: AMQP shows no message without taking it."""
        return {}

    def fingerprint(self) -> str | None:
        """What the first process that reported called it, as the announcements hand it on."""
        return self._fingerprint

    def worker_gone(self, worker: str) -> None:
        """A worker ends normally: it is reported as 0 at once."""
        self._channel.queue_delete(f"{self._prefix}worker.{worker}")

    def release(self) -> None:
        """This process reports no longer: another may at once, and finds the announcements again."""
        self._leads = False
        if self._reading is not None:
            self._reading.close()
            self._reading = None
        self._channel.queue_delete(self._prefix + "lease")

    def _announce(self, subject: str, saying: dict[str, Any]) -> None:
        said_at, said = self._announced.get(subject, (0.0, None))
        if said == saying and time.monotonic() - said_at < ANNOUNCE_EVERY:
            return
        body = json.dumps({**saying, "at": time.time()})
        message = self._channel.prepare_message(body, content_type="application/json", content_encoding="utf-8")
        self._channel.basic_publish(message, exchange="", routing_key=self._prefix + "known")
        self._announced[subject] = time.monotonic(), saying

    def _read_announcements(self) -> None:
        if self._reading is None:
            self._reading, self._known = self._connection.channel(), {}
        while (message := self._reading.basic_get(self._prefix + "known", no_ack=False)) is not None:
            said = _announcement(message.body, LONGEST_NAME - len(f"{self._prefix}worker."))
            if said is None:
                self._reading.basic_ack(message.delivery_tag)
                continue
            who = FINGERPRINT if said.get(FINGERPRINT) else str(said["worker"] or sorted(said["queues"]))
            if who in self._known:
                self._reading.basic_ack(self._known[who][2])
            self._known[who] = said["at"], said, message.delivery_tag
        for who, (said_at, _, tag) in list(self._known.items()):
            if time.time() - said_at > KNOWN_FOR:
                self._reading.basic_ack(tag)
                del self._known[who]

    def _settle_fingerprint(self) -> None:
        """Take over the announced one. Where there is none, the next time it is made up.

        The announcements that another process had read come back a moment after its lease is free.
        """
        if FINGERPRINT in self._known:
            self._fingerprint = self._known[FINGERPRINT][1][FINGERPRINT]
        elif self._fingerprint is None and self._has_looked:
            self._fingerprint = secrets.token_hex(4)
        self._has_looked = True
        if self._fingerprint is not None:
            self._announce(FINGERPRINT, {"worker": None, "queues": [], FINGERPRINT: self._fingerprint})

    def _latest_first(self) -> list[tuple[float, dict[str, Any], Any]]:
        return sorted(self._known.values(), key=lambda known: -known[0])

    def _hold(self, name: str) -> bool:
        """Whether the exclusive queue is this connection's."""
        with self._asking() as channel:
            try:
                channel.queue_declare(self._prefix + name, exclusive=True, auto_delete=False)
            except ChannelError as error:
                if str(error.reply_code) != LOCKED:
                    raise
                return False
            return True

    def _exists(self, name: str) -> bool:
        """Whether any connection holds the exclusive queue."""
        with self._asking() as channel:
            try:
                channel.queue_declare(self._prefix + name, passive=True)
            except ChannelError as error:
                if str(error.reply_code) not in {NOT_FOUND, LOCKED}:
                    raise
                return str(error.reply_code) == LOCKED
            return True

    def _length(self, queue: str) -> int:
        with self._asking() as channel:
            try:
                return int(channel.queue_declare(queue, passive=True).message_count)
            except ChannelError as error:
                if str(error.reply_code) != NOT_FOUND:
                    raise
                return 0

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """A channel for one question: the broker closes the channel when its answer is no."""
        channel = self._connection.channel()
        try:
            yield channel
        finally:
            channel.close()


def _announcement(body: Any, longest_worker: int) -> dict[str, Any] | None:
    """What a process says of itself; ``None`` for what anybody else has put there, which may be anything."""
    try:
        said = json.loads(body)
        at, worker, queues, fingerprint = said["at"], said["worker"], said["queues"], said.get(FINGERPRINT)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    is_ours = (
        isinstance(at, float)
        and at <= time.time() + KNOWN_FOR
        and isinstance(queues, list)
        and all(_is_name(name, LONGEST_NAME) for name in queues)
        and (worker is None or _is_name(worker, longest_worker))
        and (fingerprint is None or _is_name(fingerprint, LONGEST_NAME))
    )
    return said if is_ours else None


def _is_name(said: Any, longest: int) -> bool:
    try:
        return isinstance(said, str) and len(said.encode()) <= longest
    except UnicodeEncodeError:
        return False
