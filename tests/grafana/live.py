"""A fleet under known traffic, with a second and a third environment beside it, and its Prometheus as Grafana asks it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.fleet import Fleet
from deploy.settings import ROOT, FleetSettings
from support import prometheus_program, web
from support.collector import Collector
from support.ports import free_port
from support.waiting import eventually
from tests.fleet.actions import IMAGES_ALLOWED, perform
from tests.fleet.client import ChatClient
from tests.fleet.conftest import FLEET_ENVIRONMENT
from tests.fleet.running import running_fleet
from tests.grafana import expressions
from tests.grafana.expressions import GRAFANA, RULE_FILES

PLANS = ("free", "pro", "enterprise")
OTHERS = ("dev", "stage")
# What ``act`` does: by plan, and by queue.
MESSAGES = {"free": 2 + 2, "pro": 5 + 2, "enterprise": 7 + 2}
TASKS = {"low": 1 + IMAGES_ALLOWED + 2, "medium": 2 + 2 + 1 + 2, "high": 3 + 1 + 2}
IMAGES = 1 + IMAGES_ALLOWED
WINDOW = "10m"  # longer than the fleet has run
WINDOW_SECONDS = 600
SCRAPES = 10  # so many that each rate of a panel has two, wherever its steps fall
_STAGES = ("redis", "collector", "simulated-llm", "app", "workers", "beat", "alertmanager", "prometheus", "nginx")
PROGRAM = Path(sys.prefix) / "bin" / "prometheus"
_PORTS = {"8889": "TOTALS", "8890": "LEVELS", "8888": "METRICS"}
Sample = tuple[dict[str, str], float]


def fleet_of(settings: FleetSettings, environment: Mapping[str, str]) -> AbstractContextManager[Fleet]:
    """A fleet without Flower, ended with the block."""
    return running_fleet(settings, environment, _STAGES)


@contextmanager
def environments_beside(fleet: Fleet) -> Iterator[None]:
    """A process for each other environment, exporting to the fleet's collector."""
    with ExitStack() as stack:
        for name in OTHERS:
            stack.enter_context(process_of(name, fleet.settings.url("OTELCOL_HTTP_PORT")))
        yield


@contextmanager
def process_of(environment: str, endpoint: str, namespace: str = "") -> Iterator[None]:
    """A process, of a service's namespace or of none, that has counted everything a known number of times, and goes on exporting."""
    variables = {
        "PYTHONPATH": str(ROOT),
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={environment},service.namespace={namespace}",
    }
    command = [sys.executable, "-m", "tests.grafana.another_environment"]
    with subprocess.Popen(
        command, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "recorded\n"
            yield
        finally:
            process.communicate(timeout=30)


def scraping(collectors: list[Collector]) -> dict[str, Any]:
    """The file users copy, with these collectors' addresses in place of the example's, and scraped each second."""
    body: dict[str, Any] = yaml.safe_load((GRAFANA / "prometheus-scrape-config.collectors.yml").read_text())
    for job in body["scrape_configs"]:
        job |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
        for static in job["static_configs"]:
            port = _PORTS[static["targets"][0].rpartition(":")[2]]
            static["targets"] = [f"127.0.0.1:{collector.ports[port]}" for collector in collectors]
    return body | {"rule_files": [str(path) for path in RULE_FILES]}


@contextmanager
def prometheus_of(directory: Path, config: dict[str, Any]) -> Iterator[str]:
    """The address of a Prometheus that is ended with the block."""
    file, address = directory / "prometheus.yml", f"127.0.0.1:{free_port()}"
    file.write_text(yaml.safe_dump(config))
    options = [f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address={address}"]
    command = [str(PROGRAM), *options, *prometheus_program.flags(str(PROGRAM))]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            assert eventually(lambda: web.is_ok(f"http://{address}/-/ready")), (directory / "log").read_text()[-2000:]
            yield f"http://{address}"
        finally:
            process.terminate()


@dataclass(frozen=True)
class Prometheus:
    """Answers queries as of one moment: that of the last scrape of the totals."""

    url: str
    at: float | None = None

    def query(self, expression: str) -> list[Sample]:
        """Series with their values; those that Grafana would not draw are left out."""
        moment = {} if self.at is None else {"time": str(self.at)}
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression, **moment}, timeout=30).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        samples = ((series["metric"], float(series["value"][1])) for series in answer["data"]["result"])
        return [(labels, value) for labels, value in samples if value == value]  # noqa: PLR0124 (not a number)

    def values_of(self, variable_query: str) -> list[str]:
        """What Grafana offers for a variable, given its `label_values(…)`, as of this moment: visits since may have brought more."""
        inside = re.fullmatch(r"label_values\((?:(.+), )?(\w+)\)", variable_query)
        assert inside, variable_query
        selector = expressions.filled_in(inside[1]) if inside[1] else f'{{{inside[2]}!=""}}'
        found = {labels.get(inside[2], "") for labels, _ in self.query(f"group by ({inside[2]}) ({selector})")}
        return sorted(found - {""})

    def panel(self, panel: expressions.Panel, **chosen: str) -> list[list[Sample]]:
        """What each query of a panel shows, with these values chosen and every window as long as the fleet runs."""
        built_in = {"__rate_interval": WINDOW, "__range": WINDOW, "__interval": "1s"}
        return [self.query(expressions.filled_in(query, chosen, built_in)) for query in panel.queries]

    def value(self, board: str, title: str, query: int = 0, **labels: str) -> float:
        """Sum of what a panel shows for series with these labels; the environment is chosen, not only looked at."""
        panel = next(each for each in expressions.panels() if (each.board, each.title) == (board, title))
        environment = labels.pop("environment", "prod")
        samples = self.panel(panel, environment=environment)[query]
        return sum(value for have, value in samples if labels.items() <= have.items())


def as_of_last_scrape(url: str) -> Prometheus:
    """All totals come from one scrape; at its very moment, increases are what was counted, not an extrapolation."""
    moment = max(value for _, value in Prometheus(url).query("timestamp(celery_tasks_submitted_total)"))
    return Prometheus(url, moment)


def act(fleet: Fleet) -> dict[str, Any]:
    """Everything the backend can do, with failures and retries on each queue and a request to each route; the truth."""
    with httpx.Client(base_url=fleet.settings.url("NGINX_PORT"), timeout=30) as http:
        client = ChatClient(http, fleet.secrets()["ADMIN_TOKEN"])
        perform(client)
        for plan in PLANS:
            key = client.create_user(plan)
            for control, end in (("[[error:400]]", "failed"), ("[[error:503:1]]", "succeeded")):
                begun = client.start_conversation(f"{plan} {control}", key)
                assert client.finish(begun["task_id"], key)["state"] == end
        _visit_every_route(client, fleet)
        ledger: dict[str, Any] = httpx.get(fleet.settings.url("LLM_PORT", "/simulated/ledger")).json()
    return {"answers": client.truth, "ledger": ledger}


def _visit_every_route(client: ChatClient, fleet: Fleet) -> None:
    """A request to each route the application declares, so that each value of `$endpoint` has something to show."""
    prometheus = Prometheus(fleet.settings.url("PROMETHEUS_PORT"))
    for labels, _ in prometheus.query('group by (method, endpoint) (http_requests_total{environment="prod"})'):
        if labels["endpoint"] != "unmatched":
            address = re.sub(r"\{\w+\}", "none", labels["endpoint"])
            answer = client.http.request(labels["method"], address)
            client.truth[labels["method"], labels["endpoint"], str(answer.status_code)] += 1


@contextmanager
def busy_fleet(directory: Path) -> Iterator[tuple[Fleet, dict[str, Any], Prometheus]]:
    """The fleet after its traffic, the truth about it, and its Prometheus as of a scrape that has all of it."""
    settings = FleetSettings.isolated(
        directory,
        app_replicas=2,
        worker_nodes=2,
        worker_concurrency=1,
        export_interval_ms=1000,
        scrape_seconds=1,
        grafana="none",
    )
    with running_fleet(settings, FLEET_ENVIRONMENT) as fleet, environments_beside(fleet):
        truth = act(fleet)
        url = settings.url("PROMETHEUS_PORT")
        asked = sum(truth["answers"].values())
        everything = 'sum(http_requests_total{environment="prod", endpoint!~"/health|/ready"})'
        probes = sum(n for (_, route, _), n in truth["answers"].items() if route in {"/health", "/ready"})
        wanted = asked - probes
        seen = eventually(
            lambda: Prometheus(url).query(everything), 60, wanted=lambda found: found and found[0][1] >= wanted
        )
        assert [value for _, value in seen] == [wanted]
        # Workers and their children export by themselves, and levels and facts have a page of their own: what they say
        # comes a little later than the answers to whoever asked them, and has to be there at the moment that is looked at.
        conditions = [condition.replace("PROD", 'environment="prod"') for condition in _settled(truth["ledger"])]

        def missing(prometheus: Prometheus) -> list[str]:
            return [condition for condition in conditions if not prometheus.query(condition)]

        settled = eventually(lambda: as_of_last_scrape(url), 60, wanted=lambda moment: not missing(moment))
        assert missing(settled) == []
        yield fleet, truth, settled


def _settled(ledger: Mapping[str, Any]) -> list[str]:
    """What holds once everybody has exported all of it, and Prometheus has looked for a while."""
    return [
        'sum({__name__=~"celery_tasks_(completed|failed)_total", PROD}) == sum(celery_tasks_submitted_total{PROD})',
        "sum(celery_task_exceptions_total{PROD}) == sum(celery_tasks_failed_total{PROD})",
        f"sum(llm_tokens_used_total{{PROD}}) == {sum(ledger['tokens_total'].values())}",
        "sum(llm_cache_hits_total{PROD}) == 1",
        f"sum(images_generated_total{{PROD}}) == {1 + IMAGES_ALLOWED}",
        "sum(audio_transcribed_minutes_total{PROD}) > 0",
        "storage_quota_used_bytes{PROD}",
        "sum(celery_queue_length{PROD}) == 0",
        "sum(celery_active_workers{PROD}) == 2",
        f"min(count_over_time(up[{WINDOW}])) >= {SCRAPES}",
    ]
