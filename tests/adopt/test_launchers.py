"""Every launcher starts the examples with variables only and with lines: what is counted is what was sent, in both."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery import Celery

from support.collector import Collector
from support.ports import is_open
from support.waiting import eventually
from tests.adopt.installed import Installed
from tests.adopt.launchers import BEAT, CONFIGURED, FORMS, SERVERS, SHOP, WORKERS
from tests.adopt.rows import keep
from tests.adopt.running import Counts, Example, started
from tests.simulated_llm.conftest import KEY, RunningVendor
from tests.telemetry.celery.fleet import Broker

Request = tuple[str, str, str, int]
PLAIN: list[Request] = [
    *[("GET", "/items/7", "/items/{item}", 200)] * 20,
    *[("GET", "/items/-1", "/items/{item}", 404)] * 5,
    *[("POST", "/items", "/items", 201)] * 7,
    *[("GET", "/admin/users/eve", "/admin/users/{user}", 200)] * 6,
    *[("GET", "/admin/broken", "/admin/broken", 500)] * 3,
    *[("GET", "/greetings/eve", "/greetings/{name}", 200)] * 4,
    *[("GET", "/nowhere", "unmatched", 404)] * 2,
]
PAGES: list[Request] = [("GET", f"/pages/{number}", "/pages/{page}", 200) for number in range(30)]
ORDERS: list[Request] = [
    *[("POST", "/orders/book", "/orders/{product}", 201)] * 5,
    *[("POST", "/orders/moon", "/orders/{product}", 201)] * 2,
    *[("GET", "/orders", "/orders", 200)] * 3,
    *[("GET", "/products/book/description", "/products/{product}/description", 200)] * 4,
]
FOREIGN = ("http_server_", "gen_ai_", "flower_", "db_client_")
QUICK = {("workers", FORMS[0]), ("gunicorn-preload", FORMS[0])}


def cell(launcher: str, form: str) -> Any:
    """A launcher and a form; those that few can wait for are slow."""
    return pytest.param(launcher, form, marks=() if (launcher, form) in QUICK else pytest.mark.slow)


def send(example: Example, requests: list[Request]) -> Counts:
    """Send requests on connections of their own, several at a time; what has to be counted of them."""

    async def all_of_them() -> list[int]:
        limits = httpx.Limits(max_keepalive_connections=0, max_connections=6)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{example.port}", limits=limits, timeout=60, trust_env=False
        ) as client:
            answers = await asyncio.gather(*(client.request(method, path) for method, path, _, _ in requests))
            return [answer.status_code for answer in answers]

    assert eventually(lambda: is_open(example.port), 60), example.said()
    assert asyncio.run(all_of_them()) == [status for *_, status in requests], example.said()
    return Counter((method, endpoint, str(status)) for method, _, endpoint, status in requests)


def assert_requests(example: Example, sent: Counts) -> Counts:
    """Requests and durations are what was sent, and nobody else's series are there."""
    counted = example.settles_at(sent, "http_requests_total", "method", "endpoint", "status_code")
    assert counted == sent, example.said()
    timed: Counts = Counter()
    for (method, endpoint, _), count in sent.items():
        timed[method, endpoint] += count
    assert example.settles_at(timed, "http_request_duration_seconds", "method", "endpoint") == timed
    assert not [name for name in example.names() if name.startswith(FOREIGN)]
    return counted


@pytest.mark.parametrize(("name", "form"), [cell(name, form) for name in SERVERS for form in FORMS])
def test_requests_are_counted_whoever_serves(
    name: str, form: str, shared: Collector, installed: Installed, tmp_path: Path
) -> None:
    """Requests of an application and those mounted into it count once each, in every process that serves them."""
    launcher = SERVERS[name]
    if name == "fastapi-run" and not (installed.programs / "fastapi").exists():
        pytest.skip("fastapi-cli is not installed here: make adopt-page")
    with started(launcher, form, shared, installed, tmp_path) as example:
        sent = send(example, PLAIN)
        if launcher.reloads:
            assert_requests(example, sent)
            (example.folder / "own.py").touch()
            assert eventually(lambda: "Reloading" in example.said(), 30), example.said()
            sent += send(example, PLAIN)
        example.end()
        counted = assert_requests(example, sent)
        errors = Counter({("RuntimeError", "http"): sent["GET", "/admin/broken", "500"]})
        assert example.settles_at(errors, "errors_total", "error_type", "component") == errors
        keep(launcher.example, launcher.title, form, "requests", sent, counted)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_configured_preload(form: str, shared: Collector, installed: Installed, tmp_path: Path) -> None:
    """Workers that gunicorn's configuration has forked from a process with the application count each for itself."""
    with started(CONFIGURED, form, shared, installed, tmp_path) as example:
        sent = send(example, PAGES)
        example.end()
        keep("preload", CONFIGURED.title, form, "requests", sent, assert_requests(example, sent))


@pytest.mark.parametrize("form", [FORMS[0], pytest.param(FORMS[1], marks=pytest.mark.slow)])
def test_every_library_of_the_shop(
    form: str, shared: Collector, installed: Installed, broker: Broker, vendor: RunningVendor, tmp_path: Path
) -> None:
    """Requests, queries, the pool, submissions and calls to a model are counted, each once."""
    variables = {
        "SHOP_BROKER": broker.url,
        "SHOP_DATABASE": f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}",
        "OPENAI_BASE_URL": f"{vendor.url}/v1",
        "OPENAI_API_KEY": KEY,
    }
    with started(SHOP, form, shared, installed, tmp_path, variables) as example:
        sent = send(example, ORDERS)
        assert eventually(lambda: example.counted("db_connections_idle", "pool")["main",], 20), example.said()
        example.end()
        counted = assert_requests(example, sent)
        keep("shop", SHOP.title, form, "requests", sent, counted)
        for what, metric, labels, wanted in (
            (
                "queries",
                "db_query_duration_seconds",
                ("operation", "table"),
                {("INSERT", "orders"): 7, ("SELECT", "orders"): 3},
            ),
            ("submissions", "celery_tasks_submitted_total", ("task_name", "queue"), {("billing.bill", "billing"): 7}),
            ("calls to a model", "llm_requests_total", ("provider", "model"), {("openai", "gpt-4o-mini"): 4}),
        ):
            of_interest = eventually(
                lambda metric=metric, labels=labels: _named(example.counted(metric, *labels)),
                20,
                wanted=lambda found, wanted=wanted: found == Counter(wanted),
            )
            assert of_interest == Counter(wanted), example.said()
            keep("shop", SHOP.title, form, what, Counter(wanted), of_interest)
        assert eventually(lambda: example.counted("llm_request_duration_seconds").total() == 4, 20)
        assert eventually(lambda: example.counted("llm_tokens_used_total", "type")["completion",] > 0, 20)


def _named(counted: Counts) -> Counts:
    """Without what the database does to begin with."""
    return Counter({key: count for key, count in counted.items() if "other" not in key and key[0] != "DDL"})


@pytest.mark.parametrize(
    ("pool", "form"),
    [
        pytest.param(pool, form, marks=() if (pool, form) == ("prefork", FORMS[0]) else pytest.mark.slow)
        for pool in WORKERS
        for form in FORMS
    ],
)
def test_tasks_are_counted_in_every_pool(
    pool: str, form: str, shared: Collector, installed: Installed, broker: Broker, tmp_path: Path
) -> None:
    """What a worker ran is counted by outcome, whichever pool runs it, and its node and queue are seen."""
    broker.client.flushall()
    launcher = WORKERS[pool]
    with started(launcher, form, shared, installed, tmp_path, {"SHOP_BROKER": broker.url}) as example:
        assert eventually(lambda: " ready." in example.said(), 60), example.said()
        outcomes = Counter({("completed",): 20, ("failed",): 5})
        with Celery(broker=broker.url) as publisher:
            for product in ["book"] * 20 + ["moon"] * 5:
                publisher.send_task("billing.bill", args=[product], queue="billing")

        def counted() -> Counts:
            return Counter(
                {
                    (end,): example.counted(f"celery_tasks_{end}_total", "task_name")["billing.bill",]
                    for end in ("completed", "failed")
                }
            )

        found = eventually(counted, 40, wanted=lambda found: found == outcomes)
        assert found == outcomes, example.said()
        node = f"{example.environment}@test"
        assert eventually(lambda: example.counted("celery_active_workers", "hostname")[node,] == 1, 20)
        example.end()
        assert example.settles_at(Counter({("billing.bill",): 25}), "celery_task_duration_seconds", "task_name")
        assert "cannot be read" not in example.said()
        keep("shop", launcher.title, form, "tasks", outcomes, counted())


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_what_beat_sends_is_counted(
    form: str, shared: Collector, installed: Installed, broker: Broker, tmp_path: Path
) -> None:
    """Each task that beat has sent is a submission."""
    broker.client.flushall()
    with started(BEAT, form, shared, installed, tmp_path, {"SHOP_BROKER": broker.url}) as example:
        labels = "task_name", "queue"
        submitted = "billing.bill", "billing"
        assert eventually(lambda: broker.client.llen("billing") >= 2, 60), example.said()
        assert eventually(  # not in the middle of a submission
            lambda: example.counted("celery_tasks_submitted_total", *labels)[submitted] == broker.client.llen("billing")
        ), example.said()
        example.end()
        sent = Counter({submitted: broker.client.llen("billing")})
        counted = example.settles_at(sent, "celery_tasks_submitted_total", *labels)
        assert counted == sent, example.said()
        keep("shop", BEAT.title, form, "submissions", sent, counted)
