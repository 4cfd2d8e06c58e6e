"""The bounds within which a storm's counts are right; they need no storm."""

from __future__ import annotations

from collections import Counter

import pytest

from support.exposition import Samples, labels
from tests.fleet.rehearsal import clients

CHATS = "/api/v1/chat/conversations"
ANSWERS: Counter[clients.Answer] = Counter(
    {("GET", CHATS, "200"): 10, ("POST", CHATS, "202"): 4, ("POST", CHATS, "503"): 1, ("GET", CHATS, "ReadError"): 2}
)


def _page(gets: float, tasks: float) -> Samples:
    request, task = "http_requests_total", "celery_tasks_submitted_total"
    return {
        (request, labels(method="GET", endpoint=CHATS, status_code="200")): gets,
        (request, labels(method="POST", endpoint=CHATS, status_code="202")): 4,
        (request, labels(method="POST", endpoint=CHATS, status_code="503")): 1,
        (request, labels(method="GET", endpoint="/ready", status_code="200")): 99,
        (request, labels(method="POST", endpoint=CHATS, status_code="502")): 99,
        (task, labels(task_name="chat.generate_reply", queue="low")): tasks,
    }


@pytest.mark.parametrize(("gets", "is_right"), [(8, False), (9, True), (10, True), (13, True), (14, False)])
def test_requests_are_bounded_by_what_nobody_knows(gets: float, is_right: bool) -> None:
    """One request a kill of a replica may lack its count, and those without an answer may have one; no other difference is right."""
    requests, *_ = clients.rows(ANSWERS, _page(gets, tasks=4), kills_of_replicas=1)
    assert requests.is_right == is_right


@pytest.mark.parametrize(("tasks", "is_right"), [(3, False), (4, True), (5, True), (6, False)])
def test_acknowledged_tasks_are_counted(tasks: float, is_right: bool) -> None:
    """A task that a client was told of is counted; one that was refused may have been published all the same."""
    _, chats, *_ = clients.rows(ANSWERS, _page(10, tasks), kills_of_replicas=1)
    assert chats.is_right == is_right


def test_routes_that_differ_are_listed() -> None:
    """A route and status of which not as many were counted as answered is named with both figures."""
    assert clients.differences(ANSWERS, _page(10, tasks=4)) == []
    assert clients.differences(ANSWERS, _page(9, tasks=4)) == [f"GET {CHATS} 200: 10 answered, 9 counted"]
