"""The names of peers: as their own code has them, recorded from ours by rules that promtool runs, and scraped beside ours by Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from flower.events import get_prometheus_metrics
from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_fastapi_instrumentator import Instrumentator
from starlette_exporter import PrometheusMiddleware
from starlette_exporter.optional_metrics import request_body_size, response_body_size

from grafana.rules.compatibility import FLOWER, INSTRUMENTATOR, PEERS, STARLETTE_EXPORTER, Peer
from support.waiting import eventually
from telemetry.catalogue import BUILT_IN
from telemetry.testing.promql import check
from telemetry.testing.series import of_catalogue
from tests.grafana import expressions
from tests.grafana.expressions import GRAFANA
from tests.grafana.live import Prometheus, prometheus_of
from tests.grafana.test_alerts import run

FOLDER = GRAFANA / "compatibility"
RULES = [(peer.name, rule) for peer in PEERS for rule in expressions.rules(FOLDER / f"{peer.name}.yaml")]
OF = 'environment="prod"'
HTTP = {
    f'http_requests_total{{{OF}, method="GET", endpoint="/items/{{item}}", status_code="200"}}': "7",
    f'http_requests_total{{{OF}, method="GET", endpoint="/items/{{item}}", status_code="503"}}': "2",
    f'http_requests_total{{{OF}, method="GET", endpoint="unmatched", status_code="404"}}': "4",
    f'http_request_duration_seconds_bucket{{{OF}, method="GET", endpoint="/items/{{item}}", le="0.5"}}': "6",
    f'http_request_duration_seconds_bucket{{{OF}, method="GET", endpoint="unmatched", le="0.5"}}': "4",
    f'http_response_size_bytes_sum{{{OF}, method="GET", endpoint="/items/{{item}}"}}': "900",
    f'http_requests_in_progress{{{OF}, instance="a", method="GET", endpoint="/items/{{item}}"}}': "1",
    f'http_requests_in_progress{{{OF}, instance="b", method="GET", endpoint="/items/{{item}}"}}': "2",
    f'http_requests_in_progress{{{OF}, instance="b", method="GET", endpoint="unmatched"}}': "1",
}
TASK = f'{OF}, task_name="app.reply", queue="high"'
CELERY = {
    f"celery_tasks_submitted_total{{{TASK}}}": "9",
    f"celery_tasks_completed_total{{{TASK}}}": "5",
    f"celery_tasks_failed_total{{{TASK}}}": "2",
    f"celery_tasks_retried_total{{{TASK}}}": "3",
    f'celery_tasks_dropped_total{{{TASK}, reason="revoked"}}': "1",
    f'celery_tasks_dropped_total{{{TASK}, reason="expired"}}': "1",
    f'celery_tasks_dropped_total{{{TASK}, reason="rejected"}}': "4",
    f'celery_task_runtime_seconds_count{{{OF}, task_name="app.reply", outcome="completed"}}': "5",
    f'celery_task_runtime_seconds_count{{{OF}, task_name="app.reply", outcome="failed"}}': "2",
    f'celery_active_workers{{{OF}, hostname="high@host1"}}': "1",
    f'celery_worker_tasks{{{OF}, instance="a", hostname="high@host1", state="active"}}': "3",
    f'celery_queue_consumers{{{OF}, instance="a", queue="high"}}': "1",
    f'celery_queue_consumers{{{OF}, instance="b", queue="high"}}': "1",
    f'celery_worker_tasks{{{OF}, instance="a", hostname="high@host1", state="reserved"}}': "8",
}
OTHERS = {
    f'db_connections_active{{{OF}, instance="a", pool="main"}}': "3",
    f'db_connections_active{{{OF}, instance="b", pool="main"}}': "4",
    f'db_connections_idle{{{OF}, instance="a", pool="main"}}': "2",
    f'llm_tokens_used_total{{{OF}, provider="openai", model="gpt-4o", type="prompt"}}': "100",
    f'llm_tokens_used_total{{{OF}, provider="openai", model="gpt-4o", type="cached"}}': "20",
    f'llm_tokens_used_total{{{OF}, provider="openai", model="gpt-4o", type="completion"}}': "30",
}
OURS = HTTP | CELERY | OTHERS
_TASK = 'name="app.reply", queue_name="high"'
_ROUTE = 'method="GET", path="/items/{item}", app_name="starlette"'
RECORDED: dict[str, dict[str, float]] = {
    "prometheus-fastapi-instrumentator": {
        'http_request_duration_highr_seconds_bucket{le="0.5"}': 10,
        'http_requests_inprogress{method="GET", handler="/items/{item}"}': 3,
        'http_requests_inprogress{method="GET", handler="none"}': 1,
    },
    "starlette-exporter": {
        f'starlette_requests_total{{{_ROUTE}, status_code="200"}}': 7,
        f'starlette_requests_total{{{_ROUTE}, status_code="503"}}': 2,
        f'starlette_request_duration_seconds_bucket{{{_ROUTE}, le="0.5"}}': 6,
        'starlette_requests_in_progress{method="GET", app_name="starlette"}': 4,
        f"starlette_response_body_bytes_total{{{_ROUTE}}}": 900,
    },
    "celery-exporter": {
        f"celery_task_sent_total{{{_TASK}}}": 9,
        f"celery_task_succeeded_total{{{_TASK}}}": 5,
        f"celery_task_failed_total{{{_TASK}}}": 2,
        f"celery_task_retried_total{{{_TASK}}}": 3,
        f"celery_task_revoked_total{{{_TASK}}}": 2,
        f"celery_task_rejected_total{{{_TASK}}}": 4,
        'celery_task_runtime_count{name="app.reply"}': 5,
        'celery_worker_up{hostname="host1"}': 1,
        'celery_worker_tasks_active{hostname="host1"}': 3,
        'celery_active_consumer_count{queue_name="high"}': 2,
    },
    "flower": {
        'flower_events_total{type="task-sent", task="app.reply"}': 9,
        'flower_events_total{type="task-succeeded", task="app.reply"}': 5,
        'flower_events_total{type="task-failed", task="app.reply"}': 2,
        'flower_events_total{type="task-retried", task="app.reply"}': 3,
        'flower_events_total{type="task-revoked", task="app.reply"}': 2,
        'flower_events_total{type="task-rejected", task="app.reply"}': 4,
        'flower_task_runtime_seconds_count{task="app.reply"}': 5,
        'flower_worker_online{worker="high@host1"}': 1,
        'flower_worker_number_of_currently_executing_tasks{worker="high@host1"}': 3,
        'flower_worker_prefetched_tasks{worker="high@host1"}': 8,
    },
    "opentelemetry-contrib": {
        'http_server_request_duration_seconds_bucket{http_request_method="GET", http_route="/items/{item}", le="0.5"}': 6,
        'http_server_request_duration_seconds_bucket{http_request_method="GET", http_route="unmatched", le="0.5"}': 4,
        'http_server_active_requests{http_request_method="GET"}': 4,
        'http_server_response_body_size_bytes_sum{http_request_method="GET", http_route="/items/{item}"}': 900,
        'db_client_connections_usage{pool_name="main", state="used"}': 7,
        'db_client_connections_usage{pool_name="main", state="idle"}': 2,
        'flower_task_runtime_seconds_count{task="app.reply"}': 7,
        'gen_ai_client_token_usage_sum{gen_ai_provider_name="openai", gen_ai_request_model="gpt-4o", gen_ai_token_type="input"}': 120,
        'gen_ai_client_token_usage_sum{gen_ai_provider_name="openai", gen_ai_request_model="gpt-4o", gen_ai_token_type="output"}': 30,
    },
}


def _name(series: str) -> str:
    return series.partition("{")[0]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_rules_record_old_names(peer: Peer, tmp_path: Path) -> None:
    """From known series of ours, exactly the old series, with the old labels and the environment."""
    expected = RECORDED[peer.name]
    wanted = [
        {
            "expr": name,
            "eval_time": "2m",
            "exp_samples": [
                {"labels": f"{series[:-1]}, {OF}}}", "value": value}
                for series, value in expected.items()
                if _name(series) == name
            ],
        }
        for name in dict.fromkeys(map(_name, expected))
    ]
    inputs = [{"series": series, "values": f"{value}x4"} for series, value in OURS.items()]
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": wanted}
    run(tmp_path, [test], [FOLDER / f"{peer.name}.yaml"])


@pytest.mark.parametrize(("peer", "rule"), RULES, ids=[f"{peer}/{rule['record']}" for peer, rule in RULES])
def test_rule_is_sound(peer: str, rule: dict[str, Any]) -> None:
    """What it names exists, environments stay apart, and it records no name of ours, which would double it."""
    assert check(rule["expr"], of_catalogue(BUILT_IN)) == []
    assert rule["record"] not in of_catalogue(BUILT_IN)


# --- what the peers' own code says ------------------------------------------------------------------------------------


async def _asked(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        for path in ("/items/1", "/items/2", "/nowhere"):
            await client.get(path)


def _app() -> FastAPI:
    app = FastAPI()
    app.get("/items/{item}")(lambda item: item)
    return app


def _labels(families: Iterator[Metric]) -> dict[str, set[str]]:
    """Label names of each family, whose name is without the suffix of a counter."""
    return {family.name: {label for sample in family.samples for label in sample.labels} for family in families}


def _assert_as_declared(peer: Peer, labels: dict[str, set[str]], *, but: str = "") -> None:
    for old in peer.olds:
        if old.name != but:
            declared = {*old.label_keys, *dict(old.constant)}
            assert declared <= labels[old.name.removesuffix("_total")], old.name


async def test_names_of_the_instrumentator() -> None:
    """Its metrics have the names and labels that we say."""
    registry, app = CollectorRegistry(), _app()
    Instrumentator(registry=registry).instrument(app)
    await _asked(app)
    _assert_as_declared(INSTRUMENTATOR, _labels(registry.collect()), but="http_requests_inprogress")


async def test_names_of_starlette_exporter() -> None:
    """Its metrics have the names and labels that we say."""
    app = _app()
    app.add_middleware(PrometheusMiddleware, optional_metrics=[request_body_size, response_body_size])
    await _asked(app)
    _assert_as_declared(STARLETTE_EXPORTER, _labels(REGISTRY.collect()))


def test_names_of_flower() -> None:
    """Its metrics have the names and labels that we say."""
    metrics = [metric for metric in vars(get_prometheus_metrics()).values() if hasattr(metric, "_labelnames")]
    _assert_as_declared(FLOWER, {metric._name: set(metric._labelnames) for metric in metrics})


# --- both at once -----------------------------------------------------------------------------------------------------


@contextmanager
def _page(text: bytes) -> Iterator[str]:
    """The address of an exporter whose page is a text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def _job(name: str, address: str, relabeling: str) -> dict[str, Any]:
    added = yaml.safe_load((FOLDER / relabeling).read_text())
    static = [{"targets": [address]}]
    return {"job_name": name, "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": static, **added}


async def test_both_run_without_doubling(tmp_path: Path) -> None:
    """Ours and the instrumentator, scraped side by side: each request once in `http_requests_total`, by our labels and by its."""
    registry, app = CollectorRegistry(), _app()
    Instrumentator(registry=registry).instrument(app)
    await _asked(app)
    ours = b'http_requests_total{environment="prod",method="GET",endpoint="/items/{item}",status_code="200"} 2\n'
    ours += b'http_requests_total{environment="prod",method="GET",endpoint="unmatched",status_code="404"} 1\n'
    name = INSTRUMENTATOR.name
    with _page(ours) as one, _page(generate_latest(registry)) as other:
        jobs = [_job("ours", one, f"{name}.relabel.yml"), _job("theirs", other, f"{name}.aside.yml")]
        with prometheus_of(tmp_path, {"scrape_configs": jobs}) as url:
            prometheus = Prometheus(url)

            def asked(query: str) -> set[float]:
                return {value for _, value in prometheus.query(query)}

            assert eventually(lambda: asked("sum(http_requests_total) + sum(old_http_requests_total)")) == {6}
            assert asked("sum(http_requests_total)") == {3}
            for query in ('{handler="/items/{item}",status="2xx"}', '{endpoint="/items/{item}",status_code="200"}'):
                assert asked(f"http_requests_total{query}") == {2}
            assert asked('http_requests_total{handler="none",status="4xx"}') == {1}
            assert asked('old_http_requests_total{handler="/items/{item}",status="2xx"}') == {2}


def test_same_names_are_relabelled() -> None:
    """A metric that has one name there and here is never recorded: it gets the labels at the scrape."""
    olds = [old for peer in PEERS for old in peer.olds]
    assert {old.name for old in olds if old.keeps_its_name} == {old.name for old in olds} & set(BUILT_IN.by_name)
