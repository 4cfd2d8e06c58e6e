"""Questions a process answers once it can do its work: each probe returns None for yes, or the reason why not yet."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable

from celery import Celery

Probe = Callable[[], str | None]
_PATIENCE = 2.0  # seconds one question may take


def running() -> None:
    """Ready as soon as it runs; for processes that nobody talks to."""


def http_ok(url: str, authority: str = "") -> Probe:
    """Ready when a GET of the address is answered with a 2xx.

    Args:
        url: The address.
        authority: PEM file by which the certificate of an ``https`` address is verified.
    """

    def ask() -> str | None:
        try:
            context = ssl.create_default_context(cafile=authority) if authority else None
            with urllib.request.urlopen(url, timeout=_PATIENCE, context=context) as answer:  # our own address
                return None if answer.status < 300 else f"{url} answers {answer.status}"
        except urllib.error.HTTPError as error:
            return f"{url} answers {error.code}"
        except OSError as error:
            return f"{url} does not answer ({getattr(error, 'reason', error)})"

    return ask


def redis_pong(port: int) -> Probe:
    """Ready when Redis answers a PING: while it loads its data it accepts connections and refuses commands."""

    def ask() -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", port), _PATIENCE) as connection:
                connection.settimeout(_PATIENCE)
                connection.sendall(b"PING\r\n")
                answer = connection.recv(128)
        except OSError as error:
            return f"Redis on port {port} does not answer ({error})"
        return None if answer.startswith(b"+PONG") else f"Redis answers {answer.decode(errors='replace').strip()}"

    return ask


def worker_pong(broker_url: str, name: str) -> Probe:
    """Ready when the worker node answers a ping by way of the broker, as it will get its tasks."""

    def ask() -> str | None:
        try:
            with Celery(broker=broker_url, set_as_current=False) as app:
                answers = app.control.ping(timeout=_PATIENCE, limit=1, pattern=f"{name}@*", matcher="glob")
        except Exception as error:  # the broker's client has its own
            return f"{name} cannot be asked by way of the broker ({error})"
        if any(node.startswith(f"{name}@") for answer in answers or [] for node in answer):
            return None
        return f"{name} does not answer a ping"

    return ask
