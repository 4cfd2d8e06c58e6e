"""From a request to its trace: what a service records of a sampled request is found in a real Prometheus by its trace id."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from support import web
from support.collector import CONFIG, DURABLE, Collector, running
from support.ports import free_port
from support.waiting import eventually
from telemetry.testing.files import filled_in
from tests.grafana import expressions
from tests.support import prometheus
from tests.support.processes import end, start

DURATION = "http_request_duration_seconds"
PANELS = [
    filled_in(target["expr"])
    for panel in expressions.panels()
    for target in panel.model["targets"]
    if target.get("exemplar") and DURATION in target["expr"]
]
SERVICE = """
import telemetry, uvicorn
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
telemetry.configure("test")
trace.set_tracer_provider(TracerProvider())
app = FastAPI()
app.get("/items/{{item}}")(lambda item: item)
telemetry.instrument(app)
FastAPIInstrumentor.instrument_app(app)
uvicorn.run(app, host="127.0.0.1", port={port}, log_level="warning")
"""


class Service:
    """A traced service that exports to a collector.

    Args:
        collector: Where to.
    """

    def __init__(self, collector: Collector) -> None:
        port = free_port()
        code = SERVICE.format(port=port)
        self.process = start(code, collector.endpoint, begin="", OTEL_METRICS_EXEMPLAR_FILTER="trace_based")
        self._url = f"http://127.0.0.1:{port}/items/1"
        assert eventually(lambda: web.is_ok(self._url))

    def asked(self, *, sampled: bool) -> str:
        """Send a request that is part of a trace; the id of that."""
        trace_id = secrets.token_hex(16)
        header = f"00-{trace_id}-{secrets.token_hex(8)}-0{sampled:d}"
        assert httpx.get(self._url, headers={"traceparent": header}, trust_env=False).is_success
        return trace_id


@contextmanager
def _scraped(config: Path) -> Iterator[tuple[Collector, Service, prometheus.Prometheus]]:
    """A collector, a service that exports to it, and a Prometheus that reads it."""
    with ExitStack() as ended:
        collector = ended.enter_context(running(config))
        service = Service(collector)
        ended.callback(end, service.process)
        seen = ended.enter_context(prometheus.running([f"127.0.0.1:{collector.ports['TOTALS']}"], 0.2))
        yield collector, service, seen


def _exemplars(seen: prometheus.Prometheus, expression: str) -> list[dict[str, Any]]:
    window = {"query": expression, "start": "0", "end": "4102444800"}
    found = web.get(f"{seen.url}/api/v1/query_exemplars", params=window).json()["data"]
    return [exemplar for series in found for exemplar in series["exemplars"]]


def test_trace_of_a_request_is_found() -> None:
    """A sampled request's trace id is what Prometheus answers to the guide's query and to dashboards'; others leave none."""
    with _scraped(DURABLE) as (collector, service, seen):
        unsampled = [service.asked(sampled=False) for _ in range(3)]
        trace_id = service.asked(sampled=True)
        query = f"histogram_quantile(0.95, sum by (le) (rate({DURATION}_bucket[5m])))"
        found: list[dict[str, Any]] = []

        def is_found() -> bool:
            found[:] = [one for one in _exemplars(seen, query) if one["labels"]["trace_id"] == trace_id]
            return bool(found)

        assert eventually(is_found)
        assert PANELS
        for query in PANELS:  # what Grafana asks with, each of it as it stands in a dashboard
            assert trace_id in {one["labels"]["trace_id"] for one in _exemplars(seen, query)}, query
        assert all(one["labels"].keys() == {"trace_id", "span_id"} for one in _exemplars(seen, query))
        assert not {one["labels"]["trace_id"] for one in _exemplars(seen, query)} & set(unsampled)
        assert eventually(lambda: collector.total(f"{DURATION}_count") == 5)  # the service was asked until it answered


def test_official_distribution_keeps_the_first() -> None:
    """Exemplars of a series' first export stay for ever with contrib: no later trace is found, and every count is."""
    with _scraped(CONFIG) as (_, service, seen):
        series = f'{DURATION}_count{{endpoint="/items/{{item}}"}}'

        def counted() -> float:
            return sum(float(each["value"][1]) for each in seen.query(series))

        assert eventually(lambda: counted() == 1)  # the service was asked until it answered, in a trace of its own
        first = _exemplars(seen, f"{DURATION}_bucket")
        later = {service.asked(sampled=True) for _ in range(3)}
        assert eventually(lambda: counted() == 1 + len(later))
        found = {one["labels"]["trace_id"] for one in _exemplars(seen, f"{DURATION}_bucket")}
        assert found == {one["labels"]["trace_id"] for one in first} != set()
        assert not found & later
