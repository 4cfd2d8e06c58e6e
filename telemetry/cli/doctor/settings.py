"""Do the variables say where metrics go, and what they are called?"""

from __future__ import annotations

from collections.abc import Iterator

from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity
from telemetry.settings import variables
from telemetry.settings.problems import Problem
from telemetry.settings.settings import Settings

_FORGOTTEN_AFTER = 60.0

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
IGNORED = Cause(
    "setting-ignored",
    "A variable has a value that has no effect here.",
    "unset the variable: docs/settings.md says what has an effect instead",
    severity=Severity.WARNING,
)


def _run(case: Case) -> Iterator[Finding]:
    if case.problems:
        yield INVALID.found(f"a process does not start (TELEMETRY_STRICT): {case.problems}")
    if case.settings is None:
        return
    yield from (INVALID.found(_says(problem), remedy=problem.remedy) for problem in case.settings.problems)
    yield from (IGNORED.found(_says(problem), remedy=problem.remedy) for problem in case.settings.ignored)
    if case.is_about_sending:
        yield from _sends(case, case.settings)


def _says(problem: Problem) -> str:
    return f"{problem.setting}={problem.value!r} is not used as it is" + (
        f": {problem.effect}" if problem.effect else ""
    )


def _sends(case: Case, settings: Settings) -> Iterator[Finding]:
    if case.env.get(variables.DISABLED.name, "").strip().lower() == "true":
        yield DISABLED.found("OTEL_SDK_DISABLED=true: nothing is measured or exported")
    elif not settings.exporters:
        yield NONE.found(f"OTEL_METRICS_EXPORTER={_exporter(case)}: what is counted leaves no process")
    wanted = case.asked.environment
    if wanted and wanted != settings.environment:
        yield ENVIRONMENT.found(
            f"this process reports as environment={settings.environment!r}, not {wanted!r}",
            f"OTEL_RESOURCE_ATTRIBUTES={case.env.get('OTEL_RESOURCE_ATTRIBUTES', '')!r}",
            remedy=f"set OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name={wanted}, and restart the service",
        )
    if case.endpoint and settings.export_interval >= _FORGOTTEN_AFTER:
        yield INTERVAL.found(
            f"exports are {settings.export_interval:g} s apart; "
            f"the collector forgets a level {_FORGOTTEN_AFTER:g} s after its report"
        )


def _exporter(case: Case) -> str:
    return repr(case.env.get(variables.EXPORTERS.name, "").strip())


CHECK = Check(
    name="settings",
    asks="Do the variables say where metrics go, and what they are called?",
    causes=(INVALID, DISABLED, NONE, ENVIRONMENT, INTERVAL, IGNORED),
    run=_run,
)
