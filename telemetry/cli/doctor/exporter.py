"""Does an export reach the collector, and is it acknowledged?

One export is sent as the service sends its own (``canary.py``). What it meets decides; addresses are looked at more
closely only where it failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, entry_points, version
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from telemetry.cli import web
from telemetry.cli.doctor import probe
from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding
from telemetry.pipeline import tls
from telemetry.pipeline.transport import Answer, Outcome
from telemetry.settings import variables

_HTTP_PORT = 4318
_NOTHING_ARRIVES = (
    "canary-lost",
    "canary-not-scraped",
    "fleet-absent",
    "environment-absent",
    "senders-silent",
    "dead-undelivered",
    "metric-missing",
)
_NO_COLLECTOR = (*_NOTHING_ARRIVES, "collector", "target-down", "clock")

NOT_INSTALLED = Cause(
    "grpc-not-installed",
    "gRPC is asked for and its package is not installed.",
    "pip install 'fleet-telemetry[grpc]', or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    explains=_NOTHING_ARRIVES,
)
DISTRO = Cause(
    "distro-sets-grpc",
    "opentelemetry-distro makes gRPC the default, against a port of HTTP.",
    "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or pip uninstall opentelemetry-distro",
    explains=_NOTHING_ARRIVES,
)
TO_PROMETHEUS = Cause(
    "delta-to-prometheus",
    "Exports go to Prometheus' own receiver, which takes no differences.",
    "send to a collector with otel-collector.yaml, and let Prometheus scrape that",
    explains=_NO_COLLECTOR,
)
PATHLESS = Cause(
    "endpoint-path-missing",
    "`OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` is taken as it is, and lacks the path.",
    "append /v1/metrics to it, or set OTEL_EXPORTER_OTLP_ENDPOINT instead",
    explains=_NOTHING_ARRIVES,
)
HOST = Cause(
    "host-unknown",
    "The endpoint's host name cannot be resolved.",
    "correct the host of the endpoint, or the network or DNS of this host",
    explains=_NO_COLLECTOR,
)
PROXY = Cause(
    "proxy-between",
    "Exports go through a proxy that does not reach the collector.",
    "add the collector's host to NO_PROXY",
    explains=_NO_COLLECTOR,
)
HTTP_TO_GRPC = Cause(
    "http-to-grpc-port",
    "OTLP over HTTP is sent to a port of gRPC.",
    "use the collector's port for HTTP, 4318; or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
    explains=_NOTHING_ARRIVES,
)
GRPC_TO_HTTP = Cause(
    "grpc-to-http-port",
    "OTLP over gRPC is sent to a port of HTTP.",
    "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or use the collector's port for gRPC, 4317",
    explains=_NOTHING_ARRIVES,
)
TLS = Cause(
    "tls-fails",
    "No encrypted connection can be made.",
    "use http:// for a collector without TLS; else set OTEL_EXPORTER_OTLP_CERTIFICATE to the authority that signed its "
    "certificate",
    explains=_NO_COLLECTOR,
)
EXPIRED = Cause(
    "certificate-expired",
    "The collector's certificate is not valid now.",
    "renew the certificate of the collector, which reads it anew; check the clock of this host",
    explains=_NO_COLLECTOR,
)
UNTRUSTED = Cause(
    "certificate-untrusted",
    "The collector's certificate is of an authority that is not trusted here.",
    "set OTEL_EXPORTER_OTLP_CERTIFICATE to the authority that signed the collector's certificate",
    explains=_NO_COLLECTOR,
)
OTHER_NAME = Cause(
    "certificate-other-name",
    "The collector's certificate is for another name than the endpoint's host.",
    "write the endpoint with a name that the certificate has, or have one made for this name",
    explains=_NO_COLLECTOR,
)
OWN_CERTIFICATE = Cause(
    "own-certificate-refused",
    "The collector wants a certificate of this sender that it trusts and that has not expired.",
    "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY to one of the authority that the "
    "collector knows (OTELCOL_TLS_CLIENT_CA), or renew it",
    explains=_NO_COLLECTOR,
)
TLS_EXPECTED = Cause(
    "tls-expected",
    "The collector speaks TLS, and exports are sent without.",
    "write the endpoint with https://, and set OTEL_EXPORTER_OTLP_CERTIFICATE to the collector's authority",
    explains=_NO_COLLECTOR,
)
DOWN = Cause(
    "collector-down",
    "Nothing listens at the endpoint.",
    "start the collector there, or correct the endpoint",
    explains=_NO_COLLECTOR,
)
SILENT = Cause(
    "collector-silent",
    "Something listens at the endpoint and does not answer in time.",
    "look at the collector's load and log, and at what stands between",
    explains=_NO_COLLECTOR,
)
UNAUTHORIZED = Cause(
    "export-unauthorized",
    "The collector does not let this sender in.",
    "set TELEMETRY_OTLP_TOKEN_FILE or OTEL_EXPORTER_OTLP_HEADERS to the credentials it wants",
    explains=_NOTHING_ARRIVES,
)
FORBIDDEN = Cause(
    "export-forbidden",
    "The collector knows this sender, and does not let it write this.",
    "correct deployment.environment.name in OTEL_RESOURCE_ATTRIBUTES, or let the token write that environment "
    "(OTELCOL_TOKENS of the collector)",
    explains=_NOTHING_ARRIVES,
)
NO_TOKEN = Cause(
    "token-unreadable",
    "The sender's token cannot be read.",
    "write the token to the file that TELEMETRY_OTLP_TOKEN_FILE names, readable by the user of the service",
    explains=_NOTHING_ARRIVES,
)
NOT_FOUND = Cause(
    "export-not-found",
    "There is no OTLP receiver at this path.",
    "correct the path of the endpoint: a collector has it at /v1/metrics",
    explains=_NOTHING_ARRIVES,
)
BUSY = Cause(
    "collector-refuses",
    "The collector answers that it cannot take anything now.",
    "look at its memory (OTELCOL_MEMORY_MIB), the space of its store, and its log; senders keep what they have",
    explains=_NOTHING_ARRIVES,
)
REFUSED = Cause(
    "export-refused",
    "What answers at the endpoint refuses the export for good.",
    "see that a collector listens there, one that takes delta temporality",
    explains=_NOTHING_ARRIVES,
)
UNANSWERED = Cause(
    "export-unanswered",
    "The connection breaks, or a proxy answers, before the collector does.",
    "look at what stands between, and at the collector's log",
    explains=_NOTHING_ARRIVES,
)
LOST = Cause(
    "canary-lost",
    "An export is acknowledged and not shown by the collector whose pages are looked at.",
    "name the collector that the endpoint leads to (`--collector`, OTELCOL_LEVELS_PORT); if it is this one, see that "
    "it runs otel-collector.yaml or otel-collector.durable.yaml",
    explains=("fleet-absent", "environment-absent", "senders-silent", "canary-not-scraped"),
)


def _run(case: Case) -> Iterator[Finding]:
    if case.canary is None or not case.endpoint:
        return
    canary = case.canary.get()
    if canary.broken:
        yield NOT_INSTALLED.found(canary.broken)
    elif not canary.is_taken:
        yield _why(case, canary.answer or Answer(Outcome.UNANSWERED))
    elif canary.answer and canary.answer.reason:
        yield REFUSED.found(f"{case.endpoint} takes exports in part only: {canary.answer.reason}")
    elif canary.is_shown is False:
        yield _lost(case)
    else:
        yield from _distro(case)


def _lost(case: Case) -> Finding:
    page = case.pages.address.levels if case.pages else ""
    return LOST.found(f"{case.endpoint} has acknowledged an export, and {page} does not show it")


def _why(case: Case, answer: Answer) -> Finding:
    said = [f"{case.endpoint_variable} leads to {case.endpoint}: {answer.reason}"]
    for look in _LOOKS:
        found = look(case, answer)
        if found is not None:
            cause, problem = found
            return cause.found(problem, *said)
    return _by_outcome(case, answer, said)


Found = tuple[Cause, str] | None


def _is_grpc(case: Case) -> bool:
    return case.settings is not None and case.settings.destination.protocol == "grpc"


def _prometheus_receives(case: Case, answer: Answer) -> Found:
    has_answered = answer.reason.startswith("it answers")
    if has_answered and ("/api/v1/otlp" in urlsplit(case.endpoint).path or _is_prometheus(case.endpoint)):
        return TO_PROMETHEUS, f"{case.endpoint} is Prometheus' own receiver of OTLP, which refuses differences (delta)"
    return None


def _is_prometheus(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    asked = web.get(f"{parts.scheme}://{parts.netloc}/api/v1/status/buildinfo") if parts.scheme == "http" else None
    return asked is not None and asked.is_ok and b'"goVersion"' in asked.body


def _paths(case: Case, answer: Answer) -> Found:
    path = urlsplit(case.endpoint).path
    if case.endpoint_variable.endswith("METRICS_ENDPOINT") and path in {"", "/"} and "404" in answer.reason:
        return PATHLESS, f"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT={case.endpoint} has no path"
    return None


def _proxy(case: Case, answer: Answer) -> Found:
    parts = urlsplit(case.endpoint)
    proxy = getproxies().get(parts.scheme)
    if _status_of(answer) in _OF_COLLECTORS:
        return None
    if proxy and not proxy_bypass(parts.hostname or "") and not _is_grpc(case):
        address = urlsplit(proxy)
        return PROXY, f"exports to {case.endpoint} go through the proxy {address.hostname}:{address.port}"
    return None


def _protocol(case: Case, answer: Answer) -> Found:
    is_grpc = _is_grpc(case)
    if is_grpc and probe.speaks_http(case.endpoint) and not probe.speaks_http2(case.endpoint):
        return GRPC_TO_HTTP, f"{case.endpoint} speaks HTTP, and exports are sent over gRPC"
    is_broken = answer.outcome is Outcome.UNANSWERED and "within" not in answer.reason
    if not is_grpc and is_broken and probe.speaks_http2(case.endpoint):
        return HTTP_TO_GRPC, f"{case.endpoint} speaks gRPC, and exports are sent over HTTP"
    return None


def _host(case: Case, answer: Answer) -> Found:
    is_reached = bool(_status_of(answer))  # maybe by a proxy, which knows more names than this host
    if not is_reached and (_UNRESOLVED.search(answer.reason) or not probe.resolves(case.endpoint)):
        return HOST, f"the host {urlsplit(case.endpoint).hostname!r} of the endpoint cannot be resolved"
    return None


def _token(case: Case, answer: Answer) -> Found:
    if answer.reason.startswith(f"{variables.TOKEN_FILE.name}="):
        return NO_TOKEN, answer.reason.partition(": ")[0]
    return None


def _tls(case: Case, answer: Answer) -> Found:
    if case.settings is None or _status_of(answer) not in {"", "400"}:
        return None
    of = case.settings.destination
    if of.insecure:
        return (TLS_EXPECTED, f"{case.endpoint} speaks TLS") if probe.speaks_tls(case.endpoint) else None
    problem = tls.problem_of(answer.reason)
    if problem is tls.TlsProblem.HUNG_UP:
        access = web.Access(of.certificate, of.client_certificate, of.client_key)
        problem = tls.problem_of(probe.tls_alert(case.endpoint, access)) or problem
    if problem is None:
        return None
    return _BY_PROBLEM.get(problem, TLS), f"no encrypted connection to {case.endpoint}"


_BY_PROBLEM = {
    tls.TlsProblem.EXPIRED: EXPIRED,
    tls.TlsProblem.NOT_YET: EXPIRED,
    tls.TlsProblem.AUTHORITY: UNTRUSTED,
    tls.TlsProblem.NAME: OTHER_NAME,
    tls.TlsProblem.OWN_MISSING: OWN_CERTIFICATE,
    tls.TlsProblem.OWN_EXPIRED: OWN_CERTIFICATE,
    tls.TlsProblem.OWN_UNKNOWN: OWN_CERTIFICATE,
}


def _status(case: Case, answer: Answer) -> Found:
    cause = _BY_STATUS.get(_status_of(answer))
    return None if cause is None else (cause, f"{case.endpoint}: {answer.reason.partition(' (')[0]}")


def _status_of(answer: Answer) -> str:
    """Of HTTP; those of gRPC by the number that means the same."""
    status = re.match(r"it answers (\d+|[A-Z_]+)", answer.reason)
    return _OF_GRPC.get(status[1], status[1]) if status else ""


_OF_GRPC = {
    "UNAUTHENTICATED": "401",
    "PERMISSION_DENIED": "403",
    "UNIMPLEMENTED": "404",
    "RESOURCE_EXHAUSTED": "429",
    "INTERNAL": "500",
    "UNAVAILABLE": "503",
}


_UNRESOLVED = re.compile(r"resol|Name or service|nodename")
# What a collector answers that was reached; a proxy says other things of its own.
_OF_COLLECTORS = frozenset({"400", "401", "404", "405", "413", "415", "429"})
_BY_STATUS = {
    **dict.fromkeys(("401", "407"), UNAUTHORIZED),
    "403": FORBIDDEN,
    **dict.fromkeys(("404", "405"), NOT_FOUND),
    **dict.fromkeys(("429", "500", "503"), BUSY),
    **dict.fromkeys(("502", "504"), UNANSWERED),
}
_LOOKS: tuple[Callable[[Case, Answer], Found], ...] = (
    _prometheus_receives,
    _paths,
    _token,
    _proxy,
    _host,
    _tls,
    _protocol,
    _status,
)


def _by_outcome(case: Case, answer: Answer, said: list[str]) -> Finding:
    if _is_grpc(case) and probe.is_closed(case.endpoint):
        return DOWN.found(f"nothing listens at {case.endpoint}", *said)
    match answer.outcome:
        case Outcome.UNREACHABLE:
            return DOWN.found(f"nothing listens at {case.endpoint}", *said)
        case Outcome.REFUSED:
            return REFUSED.found(f"{case.endpoint} refuses the export: {answer.reason}", *said)
        case Outcome.BUSY:
            return NOT_FOUND.found(f"{case.endpoint} is no receiver of OTLP: {answer.reason}", *said)
    if "within" in answer.reason:
        return SILENT.found(f"{case.endpoint} has a listener that gives {answer.reason}", *said)
    return UNANSWERED.found(f"{case.endpoint} gives no answer to an export", *said)


def _distro(case: Case) -> Iterator[Finding]:
    """The variable that the distro would set is not set here: this process was not begun by it."""
    named = any(case.env.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip() for name in ("PROTOCOL", "METRICS_PROTOCOL"))
    if named or urlsplit(case.endpoint).port != _HTTP_PORT or _has_distro_of_ours():
        return
    try:
        found = version("opentelemetry-distro")
    except PackageNotFoundError:
        return
    yield DISTRO.found(
        f"opentelemetry-distro {found} makes gRPC the default under opentelemetry-instrument; {case.endpoint} is HTTP"
    )


def _has_distro_of_ours() -> bool:
    return any(entry.value.startswith("telemetry.") for entry in entry_points(group="opentelemetry_distro"))


CHECK = Check(
    name="exporter",
    asks="Does an export reach the collector, and is it acknowledged?",
    causes=(
        NOT_INSTALLED,
        TO_PROMETHEUS,
        PATHLESS,
        PROXY,
        HOST,
        DOWN,
        SILENT,
        HTTP_TO_GRPC,
        GRPC_TO_HTTP,
        DISTRO,
        TLS,
        TLS_EXPECTED,
        EXPIRED,
        UNTRUSTED,
        OTHER_NAME,
        OWN_CERTIFICATE,
        UNAUTHORIZED,
        FORBIDDEN,
        NO_TOKEN,
        NOT_FOUND,
        BUSY,
        REFUSED,
        UNANSWERED,
        LOST,
    ),
    run=_run,
)
