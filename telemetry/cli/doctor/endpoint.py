"""Does the service's own endpoint (`OTEL_METRICS_EXPORTER=prometheus`) answer?"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from telemetry.cli import page, web
from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding
from telemetry.cli.doctor.fleet_series import levels, sample_name, totals

GONE = Cause(
    "endpoint-gone",
    "Nothing answers at the endpoint that Prometheus should scrape.",
    "start the service; its log says if the port was taken; correct OTEL_EXPORTER_PROMETHEUS_HOST and _PORT",
    explains=("target-down", "fleet-absent"),
)
FOREIGN = Cause(
    "endpoint-is-anothers",
    "Another program answers at the endpoint.",
    "set OTEL_EXPORTER_PROMETHEUS_PORT to a free port, or stop what has this one",
    explains=("fleet-absent",),
)


def _run(case: Case) -> Iterator[Finding]:
    settings = case.settings
    if settings is None or "prometheus" not in settings.exporters or not case.is_about_sending:
        return
    of, readers = settings.destination, settings.readers
    access = web.Access(of.certificate, of.client_certificate, of.client_key, str(readers.token_file or ""))
    scheme = "https" if readers.certificate else "http"
    read = page.read(f"{scheme}://{_host(settings.prometheus_host)}:{settings.prometheus_port}/metrics", access=access)
    if read.answer.status == HTTPStatus.UNAUTHORIZED or read.problem.startswith("TLS"):
        return  # it is there, and for others than this one to read
    ours = {sample_name(spec) for spec in (*totals(), *levels())}
    if not read.answer.status:
        yield GONE.found(f"nothing answers at {read.url}: {read.problem}")
    elif not ours & read.by_name.keys():
        yield FOREIGN.found(f"{read.url} is answered by something else", *sorted(read.by_name)[:3])


def _host(listens_at: str) -> str:
    """As an address has it that is asked from here."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listens_at, listens_at)
    return f"[{host}]" if ":" in host else host


CHECK = Check(
    name="endpoint",
    asks="Does the service's own endpoint (`OTEL_METRICS_EXPORTER=prometheus`) answer?",
    causes=(GONE, FOREIGN),
    run=_run,
)
