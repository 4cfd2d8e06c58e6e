"""Does Prometheus scrape the fleet whole, once, and with the labels it has?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any
from urllib.parse import urlsplit

from telemetry.catalogue import Spec
from telemetry.cli.doctor.canary import NAME as CANARY
from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity
from telemetry.cli.doctor.fleet_series import any_of, levels, sample_name, totals
from telemetry.cli.doctor.server import PrometheusServer
from telemetry.cli.page import Sample
from telemetry.cli.prometheus_api import Target

_ZEROES = "created-timestamp-zero-ingestion"
_FIRST_WITH_ZEROES = 3
_EXEMPLARS = "exemplar-storage"
_ENOUGH_ALIKE = 5
_MISSED_SCRAPES = 3
_LOOKED_AT = 3
_JOBS = ("fastapi-", "otel-collector")  # of grafana/prometheus-scrape-config.yml

DOWN = Cause(
    "prometheus-down",
    "Prometheus does not answer.",
    "start it, or correct --prometheus: its address, http://127.0.0.1:9090",
    explains=("queries", "fleet", "target-down"),
)
TARGET = Cause(
    "target-down",
    "Prometheus cannot scrape something of the fleet.",
    "correct the target's address in scrape_configs, as Prometheus reaches it; start what should answer there",
    explains=("metric-missing", "series-stale", "canary-not-scraped", "fleet"),
)
NO_TOTALS = Cause(
    "totals-not-scraped",
    "Prometheus does not scrape the collector's page of totals.",
    "add it to scrape_configs: grafana/prometheus-scrape-config.yml",
    explains=("metric-missing", "fleet-absent", "environment-absent"),
)
NO_LEVELS = Cause(
    "levels-not-scraped",
    "Prometheus does not scrape the collector's page of levels and facts.",
    "add it to scrape_configs, with honor_labels: true: grafana/prometheus-scrape-config.yml",
    explains=("metric-missing", "senders-silent", "canary-not-scraped"),
)
TWICE = Cause(
    "scraped-twice",
    "The same totals are scraped twice, so every sum is doubled.",
    "keep one of the two jobs; of the front door's /metrics and the collector's page, the latter",
)
HONOR = Cause(
    "labels-not-honored",
    "Prometheus replaces the label `instance` of levels by its own, so processes are told apart no more.",
    "set honor_labels: true in the job that scrapes the levels",
    explains=("canary-not-scraped",),
)
ZEROES = Cause(
    "zero-ingestion-off",
    "Prometheus does not count the first increment of a new series.",
    f"start it with --enable-feature={_ZEROES}",
    severity=Severity.WARNING,
)
EXEMPLARS = Cause(
    "exemplars-not-kept",
    "Services record exemplars, and Prometheus keeps none: no point of a chart leads to a trace.",
    f"start it with --enable-feature={_EXEMPLARS}, beside the features that it has, or set "
    "OTEL_METRICS_EXEMPLAR_FILTER=always_off",
    severity=Severity.WARNING,
)
JOB = Cause(
    "job-unknown",
    "The jobs have other names than the alerts of this project expect, so CollectorDown fires for ever.",
    "name the jobs as in grafana/prometheus-scrape-config.yml: fastapi-…, otel-collector",
    severity=Severity.WARNING,
)
STALE = Cause(
    "series-stale",
    "Prometheus has series that it scrapes no more.",
    "see why the target has gone from scrape_configs, or what its discovery finds",
    explains=("canary-not-scraped",),
)
MISSING = Cause(
    "metric-missing",
    "The collector shows a metric that Prometheus does not have.",
    "see metric_relabel_configs of the job that scrapes the collector",
    explains=("canary-not-scraped",),
)
CANARY_GONE = Cause(
    "canary-not-scraped",
    "The collector shows an export that Prometheus does not get.",
    "see that Prometheus scrapes this collector, and metric_relabel_configs of the job",
)


def _run(case: Case) -> Iterator[Finding]:
    if case.prometheus is None:
        return
    server = case.prometheus.get()
    if server.problem:
        yield DOWN.found(f"no Prometheus answers at {server.api.url}: {server.problem}")
        return
    if case.canary is not None:
        case.canary.get()  # until then there may be no level to see labels of
    targets = _of_the_fleet(case, server)
    yield from _targets(targets)
    yield from _scraped(case, server)
    yield from _features(case, server)
    yield from _labels(server)
    yield from _once(server)
    yield from _complete(case, server, targets)


def _of_the_fleet(case: Case, server: PrometheusServer) -> list[Target]:
    """The targets that show the fleet, by what their jobs showed within an hour, by their names or by their ports.

    Others of a Prometheus that many share may be down for good. All of them, where nothing tells which ones are meant.
    """
    lately = f"count by (job) (last_over_time({any_of((*totals(), *levels()))}[1h]))"
    jobs = {sample.labels.get("job", "") for sample in server.api.query(lately)}
    ports = _ports(case)
    meant = [target for port in ports for target in server.target_of(port)]
    if not jobs and not ports:
        return list(server.targets)
    return [
        target for target in server.targets if target.job in jobs or target.job.startswith(_JOBS) or target in meant
    ]


def _ports(case: Case) -> set[int]:
    address = case.pages.address if case.pages is not None else None
    urls = (address.totals, address.levels, address.own) if address is not None else ()
    return {port for port in (urlsplit(url).port for url in urls) if port}


def _targets(targets: Iterable[Target]) -> Iterator[Finding]:
    down = [target for target in targets if not target.is_up]
    if down:
        yield TARGET.found(
            f"Prometheus cannot scrape {', '.join(target.url for target in down[:3])}",
            *(f"job {target.job}: {target.last_error}" for target in down[:3]),
        )


def _scraped(case: Case, server: PrometheusServer) -> Iterator[Finding]:
    """By the port of a target, wherever Prometheus sees its host, or by the series themselves."""
    if case.pages is None:
        return
    address = case.pages.address
    for cause, url, specs in ((NO_TOTALS, address.totals, totals()), (NO_LEVELS, address.levels, levels())):
        port = urlsplit(url).port
        if port and not server.target_of(port) and not _has_any(server, specs):
            yield cause.found(f"no target of Prometheus is {url}", *_known(server.targets))


def _has_any(server: PrometheusServer, specs: Iterable[Spec[Any]]) -> bool:
    return bool(server.api.query(f"count({any_of(specs)})"))


def _known(targets: Iterable[Target]) -> list[str]:
    return [f"job {target.job} scrapes {target.url}" for target in targets][:5]


def _features(case: Case, server: PrometheusServer) -> Iterator[Finding]:
    if server.major >= _FIRST_WITH_ZEROES and _ZEROES not in server.features:
        yield ZEROES.found("the first increment of every new series is not counted", *sorted(server.features))
    recorded = case.settings.exemplar_filter if case.settings else "always_off"
    if recorded != "always_off" and _EXEMPLARS not in server.features:
        yield EXEMPLARS.found(f"OTEL_METRICS_EXEMPLAR_FILTER={recorded}", *sorted(server.features))
    expects = any(rule.name == "CollectorDown" and "fastapi-" in rule.query for rule in server.rules)
    if expects and not any(target.job.startswith(_JOBS) for target in server.targets):
        yield JOB.found("no job is called fastapi-… or otel-collector", *_known(server.targets))


def _labels(server: PrometheusServer) -> Iterator[Finding]:
    names = "|".join((*map(sample_name, levels()), CANARY))
    renamed = server.api.query(f'count by (job, __name__) ({{__name__=~"{names}", exported_instance!=""}})')
    if renamed:
        jobs = sorted({sample.labels.get("job", "") for sample in renamed})
        yield HONOR.found(
            f"levels have `exported_instance` for `instance` in job {', '.join(jobs)}",
            *sorted({sample.name for sample in renamed})[:3],
        )


def _once(server: PrometheusServer) -> Iterator[Finding]:
    """Whether two targets show the same counts; several collectors show parts, which differ."""
    by_target: defaultdict[tuple[str, str], dict[tuple[Any, ...], float]] = defaultdict(dict)
    for sample in server.api.query(f"{any_of(totals())} > 0"):
        by_target[sample.labels.get("job", ""), sample.labels.get("instance", "")][_identity(sample)] = sample.value
    for one, other in combinations(sorted(by_target), 2):
        alike = _alike(by_target[one], by_target[other], is_one_job=one[0] == other[0])
        if alike:
            yield TWICE.found(f"{_name(one)} and {_name(other)} show the same {alike} series")


_ADDED = {"job", "instance", "service", "deployment"}


def _identity(sample: Sample) -> tuple[Any, ...]:
    return (sample.name, *sorted((key, value) for key, value in sample.labels.items() if key not in _ADDED))


def _alike(one: dict[tuple[Any, ...], float], other: dict[tuple[Any, ...], float], *, is_one_job: bool) -> int:
    """How many series both have, where that is no chance: most values are the same, of busy ones about the same."""
    shared = one.keys() & other.keys()
    alike = sum(abs(one[key] - other[key]) <= 0.05 * max(one[key], other[key]) for key in shared)
    needed = _ENOUGH_ALIKE if is_one_job else 1
    return len(shared) if len(shared) >= needed and alike * 2 > len(shared) else 0


def _name(target: tuple[str, str]) -> str:
    return f"job {target[0]} of {target[1]}"


def _complete(case: Case, server: PrometheusServer, targets: Sequence[Target]) -> Iterator[Finding]:
    if all(target.is_up for target in targets):
        yield from _dropped(case, server)
        yield from _fresh(server, targets)
    if case.canary is not None and case.canary.get().is_scraped is False:
        yield CANARY_GONE.found("an export is on the collector's page, and Prometheus does not get it")


def _dropped(case: Case, server: PrometheusServer) -> Iterator[Finding]:
    """What a page shows and its job drops; what has only just appeared there is not meant."""
    relabeled = server.api.query("scrape_samples_scraped - scrape_samples_post_metric_relabeling > 0")
    if case.pages is None or not relabeled:
        return
    known = server.api.query(f"count by (__name__) ({any_of((*totals(), *levels()))})")
    shown = {sample.name for later in (case.pages.totals, case.pages.levels) for sample in later.get().samples}
    missing = sorted((shown & _names()) - {sample.name for sample in known})
    if missing:
        jobs = sorted({sample.labels.get("job", "") for sample in relabeled})
        yield MISSING.found(
            f"Prometheus does not have {', '.join(missing[:3])}, which the collector shows",
            f"{len(missing)} metrics; job {', '.join(jobs)} drops series after its scrapes",
        )


def _names() -> set[str]:
    return {sample_name(spec) for spec in (*totals(), *levels())}


def _fresh(server: PrometheusServer, targets: Iterable[Target]) -> Iterator[Finding]:
    interval = max((target.interval for target in targets), default=0.0)
    most = _MISSED_SCRAPES * interval + 5
    known = sorted(sample.name for sample in server.api.query(f"count by (__name__) ({any_of(totals())})"))
    for name in known[:_LOOKED_AT]:  # `timestamp()` takes one name at a time
        old = server.api.query(f"time() - max(timestamp({name})) > {most:g}")
        if old:
            yield STALE.found(f"the newest {name} of Prometheus is {old[0].value:.0f} s old")
            return


CHECK = Check(
    name="prometheus",
    asks="Does Prometheus scrape the fleet whole, once, and with the labels it has?",
    causes=(DOWN, TARGET, NO_TOTALS, NO_LEVELS, TWICE, HONOR, ZEROES, EXEMPLARS, JOB, STALE, MISSING, CANARY_GONE),
    run=_run,
)
