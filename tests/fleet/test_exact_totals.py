"""A known number of actions through the front door, and the collector's totals: equal, not close."""

from __future__ import annotations

import math
from collections import Counter

import httpx

from deploy.fleet import Fleet
from support.waiting import eventually
from tests.fleet.actions import AUDIO_SECONDS, FILE, FILES, IMAGES_ALLOWED
from tests.fleet.client import ChatClient
from tests.fleet.endpoint import Endpoint


def _http_truth(client: ChatClient) -> dict[tuple[str, str, str], float]:
    truth: Counter[tuple[str, str, str]] = Counter()
    for (method, route, status), count in client.truth.items():
        truth[method, "unmatched" if route.startswith("/nothing") else route, status] += count
    return dict(truth)


def _http_counted(endpoint: Endpoint) -> dict[tuple[str, str, str], float]:
    return {
        (labels["method"], labels["endpoint"], labels["status_code"]): value
        for labels, value in ((dict(key), value) for key, value in endpoint.series("http_requests_total").items())
        if value and labels["endpoint"] not in {"/health", "/ready"}
    }


def test_http_requests_are_exact(actions: ChatClient, endpoint: Endpoint) -> None:
    """Three replicas behind NGINX: each request is counted once, by route template and status."""
    truth = _http_truth(actions)
    assert eventually(lambda: _http_counted(endpoint), wanted=lambda counted: counted == truth) == truth


def test_durations_match_requests(actions: ChatClient, endpoint: Endpoint) -> None:
    """Every counted request has a duration, and none more."""
    requests, durations = eventually(
        lambda: [endpoint.total(name) for name in ("http_requests_total", "http_request_duration_seconds")],
        wanted=lambda counted: counted[0] == counted[1],
    )
    assert requests == durations > 0


def test_tasks_are_exact(actions: ChatClient, endpoint: Endpoint) -> None:
    """Four workers: each task is submitted once and completed once, on the queue of its plan."""
    truth = {"low": 1.0 + IMAGES_ALLOWED, "medium": 2.0 + 2.0 + 1.0, "high": 3.0 + 1.0}
    for metric in ("celery_tasks_submitted_total", "celery_tasks_completed_total", "celery_task_duration_seconds"):

        def counted(metric: str = metric) -> dict[str, float]:
            return {queue: endpoint.total(metric, queue=queue) for queue in truth}

        assert eventually(counted, wanted=lambda value: value == truth) == truth, metric
    assert endpoint.total("celery_tasks_failed_total") == 0


def _settles_at(endpoint: Endpoint, truth: float, metric: str, /, **labels: str) -> None:
    """Every process exports by itself: what one of them has counted says nothing about another."""
    counted = eventually(lambda: endpoint.total(metric, **labels), wanted=lambda value: math.isclose(value, truth))
    assert math.isclose(counted, truth), (metric, labels, counted)


def test_business_is_exact(actions: ChatClient, endpoint: Endpoint) -> None:
    """Messages by plan, images, minutes of audio, files and bytes are what the actions were."""
    for plan, sent in (("free", 2), ("pro", 4 + 1), ("enterprise", 6 + 1)):
        _settles_at(endpoint, sent, "messages_sent_total", user_plan=plan)
    _settles_at(endpoint, 1 + IMAGES_ALLOWED, "images_generated_total")
    _settles_at(endpoint, 2, "rate_limit_exceeded_total", endpoint="/api/v1/images", plan="free")
    _settles_at(endpoint, AUDIO_SECONDS / 60, "audio_transcribed_minutes_total")
    uploads = {"operation": "upload", "bucket": "user-files"}
    assert eventually(lambda: endpoint.total("storage_bytes_transferred_total", **uploads) >= FILES * len(FILE))


def test_llm_equals_the_vendors_ledger(actions: ChatClient, endpoint: Endpoint, fleet: Fleet) -> None:
    """Tokens and calls are what the vendor billed, streams included."""
    ledger = httpx.get(fleet.settings.url("LLM_PORT", "/simulated/ledger")).json()
    hits = 1
    _settles_at(endpoint, hits, "llm_cache_hits_total")
    _settles_at(endpoint, ledger["requests_total"] + hits, "llm_requests_total")
    for token_type in ("prompt", "cached", "completion"):
        _settles_at(endpoint, ledger["tokens_total"][token_type], "llm_tokens_used_total", type=token_type)
    assert eventually(lambda: endpoint.total("llm_cost_usd_total") > 0)


def test_facts_are_not_multiplied(actions: ChatClient, endpoint: Endpoint) -> None:
    """Three replicas report the same facts: each stands once, as it is."""
    users = eventually(lambda: endpoint.total("users_active", plan="pro"), wanted=lambda value: value == 1)
    assert users == 1
    assert len(endpoint.series("conversations_active")) == 1
    workers = eventually(lambda: endpoint.total("celery_active_workers"), wanted=lambda value: value == 4)
    assert workers == 4

    def queues() -> dict[str, float]:
        return {dict(key)["queue"]: value for key, value in endpoint.series("celery_queue_length").items()}

    empty = {"high": 0, "medium": 0, "low": 0}
    assert eventually(queues, wanted=lambda lengths: lengths == empty) == empty


def test_nothing_stays_in_progress(actions: ChatClient, endpoint: Endpoint) -> None:
    """When all is answered, no request is in progress anywhere."""
    done = eventually(lambda: endpoint.total("http_requests_in_progress"), wanted=lambda value: value == 0)
    assert done == 0
