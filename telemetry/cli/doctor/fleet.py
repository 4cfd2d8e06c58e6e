"""Are the fleet's series there and fresh, with the documented labels, each service for itself?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from telemetry.catalogue import celery as celery_catalogue
from telemetry.catalogue import http as http_catalogue
from telemetry.catalogue import telemetry as telemetry_catalogue
from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity
from telemetry.cli.doctor.fleet_series import FleetSeries, levels
from telemetry.cli.known import known

_NEARLY = 0.8
_FOREIGN = {
    "handler": "prometheus-fastapi-instrumentator",
    "path": "starlette_exporter",
    "app_name": "starlette_exporter",
    "http_target": "OpenTelemetry's own instrumentor",
}

# Who counts one of these reports a level as well; who calls LLMs, publishes tasks or counts own totals alone need not.
_WITH_LEVELS = (http_catalogue.REQUESTS, celery_catalogue.COMPLETED, celery_catalogue.FAILED)

ABSENT = Cause(
    "fleet-absent",
    "Nothing of the fleet has arrived.",
    "start a process of the service, with these variables; its log says `telemetry: service=… exporter=otlp`",
    explains=("environment-absent", "senders-silent"),
)
FOREIGN = Cause(
    "series-of-another-library",
    "Another library writes a metric of the same name with other labels, so sums count twice.",
    "do not scrape that library's page beside this one, or drop the name there with metric_relabel_configs",
    explains=("scraped-twice", "environment-absent"),
)
IDENTITY = Cause(
    "totals-have-identity",
    "Totals are by process, so they end and begin with it, and sums are wrong.",
    "run the collector with otel-collector.yaml or otel-collector.durable.yaml, which add processes up",
    explains=("series-of-another-library", "labels-missing"),
)
LABELS = Cause(
    "labels-missing",
    "Series of a documented metric lack a documented label.",
    "let this library alone write metrics of these names, and the collector keep their labels",
)
NO_ENVIRONMENT = Cause(
    "environment-absent",
    "No series has the environment that was asked for.",
    "set OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=… in the service, and restart it",
)
SILENT = Cause(
    "senders-silent",
    "Totals of an environment are there, and no process has reported a level for a minute.",
    "start the service; if it runs, its log says why it exports nothing",
)
BROKERS = Cause(
    "two-services-collide",
    "Two services, or two Celery brokers, report as one.",
    "set service.namespace in OTEL_RESOURCE_ATTRIBUTES of each service: docs/services.md",
)
UNDELIVERED = Cause(
    "counts-undelivered",
    "Counts were dropped: refused for good, or too old.",
    "docs/runbooks/UndeliveredCounts.md says what to do",
)
REJECTED = Cause(
    "values-rejected",
    "Values were not counted because they were negative, no numbers, or too large.",
    "correct the code that records them; the service's log names it",
    severity=Severity.WARNING,
)
OVERFLOW = Cause(
    "label-budget-used-up",
    "A label has more values than its budget; the rest is counted as `other`.",
    "record values that are bounded (a template, not an address); docs/runbooks/LabelBudgetOverflow.md",
    severity=Severity.WARNING,
    explains=("label-budget-nearly",),
)
NEARLY = Cause(
    "label-budget-nearly",
    "A label has nearly as many values as its budget.",
    "record values that are bounded (a template, not an address)",
    severity=Severity.WARNING,
)


def _run(case: Case) -> Iterator[Finding]:
    if case.series is None:
        return
    series = case.series.get()
    if not series.is_known:
        return
    if not series.totals.samples and not series.levels.samples:
        yield ABSENT.found(f"{series.source} shows no metric of the fleet")
        return
    yield from _identity(series)
    yield from _labels(series)
    yield from _environments(case, series)
    yield from _brokers(series)
    yield from _counted(series)
    yield from _budgets(series)


def _identity(series: FleetSeries) -> Iterator[Finding]:
    if not series.is_of_pages:
        return
    by_process = sorted(
        {s.name for s in series.totals.samples if s.labels.keys() & {"instance", "job", "service_instance_id"}}
    )
    if by_process:
        yield IDENTITY.found(
            f"totals have a label of their process: {', '.join(by_process[:3])}", f"seen at {series.source}"
        )


def _labels(series: FleetSeries) -> Iterator[Finding]:
    """Only documented metrics: names that others may have chosen, too."""
    lacking: defaultdict[str, set[str]] = defaultdict(set)
    for spec, sample in series.of(known().documented):
        missing = set(spec.documented_labels) - sample.labels.keys()
        foreign = next((_FOREIGN[label] for label in _FOREIGN if label in sample.labels), "")
        if missing:
            lacking[foreign].add(f"{spec.name} without {', '.join(sorted(missing))}")
    for foreign, which in lacking.items():
        cause, whose = (FOREIGN, f" of {foreign}") if foreign else (LABELS, "")
        yield cause.found(f"series{whose}: {'; '.join(sorted(which)[:3])}", f"seen at {series.source}")


def _environments(case: Case, series: FleetSeries) -> Iterator[Finding]:
    there, wanted = series.environments(), case.asked.environment
    if wanted and wanted not in there:
        yield NO_ENVIRONMENT.found(f"no series has environment={wanted!r}, only {', '.join(sorted(map(repr, there)))}")
        return
    reporting = {sample.labels.get("environment") for _, sample in series.of(levels())}
    counting = {sample.labels.get("environment", "") for _, sample in series.of(_WITH_LEVELS) if sample.value}
    silent = sorted(filter(None, ({wanted} & counting if wanted else counting) - reporting))
    if silent and (wanted or not reporting):  # other environments may have been switched off
        yield SILENT.found(
            f"no process of environment {', '.join(silent)} has reported for a minute", f"seen at {series.source}"
        )


def _brokers(series: FleetSeries) -> Iterator[Finding]:
    brokers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for sample in series.levels.by_name.get(celery_catalogue.BROKER.name, ()):
        whose = sample.labels.get("environment", ""), sample.labels.get("service_namespace", "")
        brokers[whose].add(sample.labels.get("fingerprint", ""))
    for (environment, namespace), fingerprints in brokers.items():
        if len(fingerprints) > 1:
            yield BROKERS.found(
                f"{len(fingerprints)} Celery brokers report for environment {environment!r}"
                + (f" and namespace {namespace!r}" if namespace else " without a namespace"),
                *sorted(fingerprints),
            )


def _counted(series: FleetSeries) -> Iterator[Finding]:
    for cause, spec, says in (
        (UNDELIVERED, telemetry_catalogue.UNDELIVERED, "counts were dropped"),
        (REJECTED, telemetry_catalogue.REJECTED_VALUES, "values were not counted"),
        (OVERFLOW, telemetry_catalogue.LABEL_OVERFLOWS, "events are counted under the value for the rest"),
    ):
        by_metric = series.totals.by("metric", spec.name)
        if by_metric:
            listed = ", ".join(f"{name} {amount:.0f}" for name, amount in sorted(by_metric.items()))
            yield cause.found(f"{says}: {listed}", f"{spec.name} at {series.source}")


def _budgets(series: FleetSeries) -> Iterator[Finding]:
    """A budget is each process's; the fleet's values are at least as many, so this may warn early."""
    values: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for spec, sample in series.of(known().specs):
        for label in spec.label_set():
            if label.budget is not None and sample.labels.get(label.name, label.overflow) != label.overflow:
                values[spec.name, label.name].add(sample.labels[label.name])
    for (metric, name), seen in values.items():
        limit = next(
            label.budget.limit for label in known().by_name[metric].label_set() if label.name == name and label.budget
        )
        if len(seen) > _NEARLY * limit:
            yield NEARLY.found(f"the label {name} of {metric} has {len(seen)} values of {limit}", *sorted(seen)[:3])


CHECK = Check(
    name="fleet",
    asks="Are the fleet's series there and fresh, with the documented labels, each service for itself?",
    causes=(
        ABSENT,
        IDENTITY,
        FOREIGN,
        LABELS,
        NO_ENVIRONMENT,
        SILENT,
        BROKERS,
        UNDELIVERED,
        REJECTED,
        OVERFLOW,
        NEARLY,
    ),
    run=_run,
)
