"""Do the variables say where metrics go, and what they are called?"""

from __future__ import annotations

from collections.abc import Iterator

from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity

_FORGOTTEN_AFTER = 60.0
_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"

INVALID = Cause(
    "setting-invalid",
    "A variable has a value that cannot be used.",
    "set the variable to what is named, or unset it",
    explains=("exporter", "endpoint", "fleet-absent", "environment-absent", "senders-silent"),
)
DISABLED = Cause(
    "sdk-disabled",
    "`OTEL_SDK_DISABLED` switches everything off.",
    "unset OTEL_SDK_DISABLED",
    explains=("exporter", "exporter-none", "fleet-absent", "environment-absent", "senders-silent"),
)
NONE = Cause(
    "exporter-none",
    "No exporter is chosen, so nothing leaves the process.",
    "set OTEL_METRICS_EXPORTER=otlp, or prometheus for one host without a collector",
    explains=("exporter", "fleet-absent", "environment-absent", "senders-silent"),
)
ENVIRONMENT = Cause(
    "environment-differs",
    "The label `environment` of this process is not the one that was asked for.",
    "set OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=… to it, and restart the service",
    explains=("environment-absent",),
)
INTERVAL = Cause(
    "interval-too-long",
    "The collector forgets levels and facts between two exports.",
    "set OTEL_METRIC_EXPORT_INTERVAL below 60000, or unset it (15000)",
    explains=("senders-silent",),
)
TEMPORALITY = Cause(
    "temporality-ignored",
    "Another temporality than delta is asked for, and not used.",
    f"unset {_TEMPORALITY}: both collectors of this project take differences",
    severity=Severity.WARNING,
)


def _run(case: Case) -> Iterator[Finding]:
    yield from (_invalid(problem) for problem in case.problems)
    if not case.is_about_sending or case.settings is None:
        return
    if case.env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield DISABLED.found("OTEL_SDK_DISABLED=true: nothing is measured or exported")
    elif case.settings.sink == "none":
        yield NONE.found(f"OTEL_METRICS_EXPORTER is {_exporter(case)}: what is counted leaves no process")
    yield from _environment(case, case.settings.environment)
    yield from _export(case, case.settings.export_interval)


def _invalid(problem: str) -> Finding:
    says, separator, remedy = problem.partition(": ")
    return INVALID.found(says, remedy=remedy) if separator else INVALID.found(problem)


def _exporter(case: Case) -> str:
    return repr(case.env.get("OTEL_METRICS_EXPORTER", "").strip() or "not set")


def _environment(case: Case, environment: str) -> Iterator[Finding]:
    wanted = case.asked.environment
    if wanted and wanted != environment:
        yield ENVIRONMENT.found(
            f"this process reports as environment={environment!r}, not {wanted!r}",
            f"OTEL_RESOURCE_ATTRIBUTES={case.env.get('OTEL_RESOURCE_ATTRIBUTES', '')!r}",
            remedy=f"set OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name={wanted}, and restart the service",
        )


def _export(case: Case, interval: float) -> Iterator[Finding]:
    if not case.endpoint:
        return
    if interval >= _FORGOTTEN_AFTER:
        yield INTERVAL.found(
            f"exports are {interval:g} s apart; the collector forgets a level {_FORGOTTEN_AFTER:g} s after its report",
            f"OTEL_METRIC_EXPORT_INTERVAL={case.env.get('OTEL_METRIC_EXPORT_INTERVAL', '')}",
        )
    preference = case.env.get(_TEMPORALITY, "").strip().lower()
    if preference not in {"", "delta"}:
        yield TEMPORALITY.found(f"{_TEMPORALITY}={preference} is ignored: exports are differences (delta)")


CHECK = Check(
    name="settings",
    asks="Do the variables say where metrics go, and what they are called?",
    causes=(INVALID, DISABLED, NONE, ENVIRONMENT, INTERVAL, TEMPORALITY),
    run=_run,
)
