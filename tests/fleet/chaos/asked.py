"""Questions to the fleet's Prometheus."""

from __future__ import annotations

from typing import Any

import httpx


def prometheus(url: str, query: str) -> list[dict[str, Any]]:
    """What a Prometheus answers to a query."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query}, timeout=30)
    body = answer.json()
    assert body["status"] == "success", f"{query}: {body}"
    result: list[dict[str, Any]] = body["data"]["result"]
    return result


def requests(url: str) -> float:
    """All requests that it knows of."""
    found = prometheus(url, "sum(http_requests_total)")
    return float(found[0]["value"][1]) if found else 0.0


def resets(url: str, names: set[str], seconds: float) -> list[dict[str, Any]]:
    """Every series that it saw fall; it is asked for one name after the other, whose labels tell series apart."""
    queries = (f'resets({name}{{job="fastapi-queue-system"}}[{seconds:.0f}s]) > 0' for name in sorted(names))
    return [fallen for query in queries for fallen in prometheus(url, query)]
