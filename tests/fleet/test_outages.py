"""Parts of the fleet going away: clear answers, counted errors, no lost process, numbers that come back right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.fleet import Fleet
from support.waiting import eventually
from tests.fleet.client import ChatClient
from tests.fleet.endpoint import Endpoint

CHATS = "/api/v1/chat/conversations"


@contextmanager
def without(fleet: Fleet, process: str) -> Iterator[None]:
    """A process of the fleet is stopped for the length of a block."""
    fleet.stop_process(process)
    try:
        yield
    finally:
        fleet.start_process(process)


def _pids(fleet: Fleet) -> dict[str, int]:
    return {row.name: row.pid for row in fleet.status() if row.name.startswith(("app", "worker"))}


def test_redis_down(fleet: Fleet, client: ChatClient, endpoint: Endpoint) -> None:
    """Without Redis reading goes on, sending says 503, the queues are unknown; with it again, all works."""
    before = _pids(fleet)
    key = client.create_user("pro")
    errors = endpoint.total("errors_total", component="redis")
    with without(fleet, "redis"):
        refused = client.call("POST", CHATS, key, json={"message": "hello"})
        assert refused.status_code == 503
        assert "Traceback" not in refused.text
        assert client.call("GET", CHATS, key).status_code == 200
        counted = eventually(
            lambda: endpoint.total("errors_total", component="redis"), wanted=lambda value: value > errors
        )
        assert counted > errors
    begun = client.start_conversation("Are you back?", key)
    assert client.finish(begun["task_id"], key)["state"] == "succeeded"
    workers = eventually(lambda: endpoint.total("celery_active_workers"), 60, wanted=lambda value: value == 4)
    assert workers == 4
    assert _pids(fleet) == before


def test_vendor_down(fleet: Fleet, client: ChatClient, endpoint: Endpoint) -> None:
    """Without the vendor a streamed reply is refused clearly and counted as an LLM error; no reply is invented."""
    key = client.create_user("pro")
    begun = client.start_conversation("Before the outage", key)
    assert client.finish(begun["task_id"], key)["state"] == "succeeded"
    errors = endpoint.total("errors_total", component="llm")
    path = {"conversation_id": begun["conversation"]["id"]}
    with without(fleet, "simulated-llm"):
        route = f"{CHATS}/{{conversation_id}}/messages/stream"
        refused = client.call("POST", route, key, path=path, json={"message": "Are you there?"})
        assert refused.status_code in {502, 504}
        assert "Traceback" not in refused.text
    assert eventually(
        lambda: endpoint.total("errors_total", component="llm"), wanted=lambda value: value == errors + 1
    ) == (errors + 1)


def test_replica_killed(fleet: Fleet, client: ChatClient, endpoint: Endpoint) -> None:
    """A killed replica takes nothing with it that was exported, and its levels go with it within a minute."""
    key = client.create_user("free")
    asked = 30
    before = endpoint.total("http_requests_total", method="GET", endpoint=CHATS)
    for _ in range(asked):
        assert client.call("GET", CHATS, key).status_code == 200
    expected = before + asked
    counted = eventually(
        lambda: endpoint.total("http_requests_total", method="GET", endpoint=CHATS),
        wanted=lambda value: value == expected,
    )
    assert counted == expected
    fleet.kill_process("app-2")
    fleet.start_process("app-2")
    assert client.call("GET", CHATS, key).status_code == 200
    after = eventually(
        lambda: endpoint.total("http_requests_total", method="GET", endpoint=CHATS),
        wanted=lambda value: value == expected + 1,
    )
    assert after == expected + 1


def test_collector_outage_loses_nothing_new(fleet: Fleet, client: ChatClient, endpoint: Endpoint) -> None:
    """What happens while the collector is away is counted when it is back: the delta of the outage, exactly."""
    key = client.create_user("enterprise")
    asked = 25
    with without(fleet, "collector"):
        for _ in range(asked):
            assert client.call("GET", "/api/v1/files", key).status_code == 200
    counted = eventually(
        lambda: endpoint.total("http_requests_total", method="GET", endpoint="/api/v1/files"),
        60,
        wanted=lambda value: value == asked,
    )
    assert counted == asked


def test_all_workers_gone_is_zero(fleet: Fleet, endpoint: Endpoint) -> None:
    """When every worker is killed at once, the sum is 0, not absent: the guide's alert can fire."""
    names = [row.name for row in fleet.status() if row.name.startswith("worker")]
    with fleet.killed(names):
        gone = eventually(
            lambda: endpoint.series("celery_active_workers"),
            60,
            wanted=lambda series: len(series) == len(names) and not any(series.values()),
        )
    for name in names:
        fleet.start_process(name)
    assert len(gone) == len(names)
    assert sum(gone.values()) == 0
    back = eventually(lambda: endpoint.total("celery_active_workers"), 60, wanted=lambda value: value == len(names))
    assert back == len(names)
