"""HTTP with a connection for each request; certificates are never read, which would cost more than the request."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

_CLIENT = httpx.Client(verify=False, trust_env=False, timeout=10, limits=httpx.Limits(max_keepalive_connections=0))


def get(url: str, *, params: Mapping[str, str] | None = None, timeout: float = 10) -> httpx.Response:
    """What an address answers.

    Raises:
        httpx.HTTPError: If it does not.
    """
    return _CLIENT.get(url, params=params, timeout=timeout)


def post(url: str, content: bytes, headers: Mapping[str, str]) -> httpx.Response:
    """What an address answers to some bytes.

    Raises:
        httpx.HTTPError: If it does not.
    """
    return _CLIENT.post(url, content=content, headers=dict(headers))


def is_ok(url: str) -> bool:
    """Whether an address answers, and well."""
    try:
        return get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
