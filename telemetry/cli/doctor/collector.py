"""Is the collector well, by its pages and by its metrics of itself? What its sums say is in ``fleet.py``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from telemetry.catalogue import Spec
from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity
from telemetry.cli.doctor.fleet_series import levels as level_specs
from telemetry.cli.doctor.fleet_series import sample_name
from telemetry.cli.doctor.fleet_series import totals as total_specs
from telemetry.cli.page import Page

_NEARLY = 0.8
_CLOSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_MEMORY_MIB = 512.0
_MIB = 1024 * 1024
_UNREAD = ("fleet-absent", "environment-absent", "senders-silent", "metric-missing")

PAGES_GONE = Cause(
    "collector-pages-gone",
    "None of the collector's pages can be read.",
    "name the collector with --collector, and its ports with OTELCOL_TOTALS_PORT, OTELCOL_LEVELS_PORT and "
    "OTELCOL_METRICS_PORT",
    explains=("totals-unread", "levels-unread", "own-unread", "target-down", *_UNREAD),
)
CLOSED = Cause(
    "collector-pages-closed",
    "The collector shows its pages to readers with a token alone.",
    "name a file with such a token by --scrape-token",
    explains=("collector-pages-gone", "totals-unread", "levels-unread", "own-unread", *_UNREAD),
)
RESTORING = Cause(
    "collector-restoring",
    "The collector has begun and does not have all totals yet.",
    "wait until it has read its store; its log says if it cannot",
    explains=("totals-unread", "target-down", *_UNREAD),
)
TOTALS_UNREAD = Cause(
    "totals-unread",
    "The collector's page of totals cannot be read.",
    "name its port with OTELCOL_TOTALS_PORT, the same for collector and doctor",
    explains=("target-down", *_UNREAD),
)
LEVELS_UNREAD = Cause(
    "levels-unread",
    "The collector's page of levels and facts cannot be read.",
    "name its port with OTELCOL_LEVELS_PORT, the same for collector and doctor",
    explains=("target-down", *_UNREAD),
)
SWAPPED = Cause(
    "page-is-another",
    "What is read as one page of the collector is another one.",
    "correct OTELCOL_TOTALS_PORT and OTELCOL_LEVELS_PORT: totals are at the first, levels at the second",
    explains=(*_UNREAD, "canary-lost", "totals-have-identity"),
)
OWN_UNREAD = Cause(
    "own-unread",
    "The collector's metrics of itself cannot be read, so nobody sees what it drops.",
    "name its port with OTELCOL_METRICS_PORT; keep `service.telemetry.metrics` in its configuration",
    severity=Severity.WARNING,
    explains=("target-down",),
)
STORE = Cause(
    "collector-store",
    "The collector cannot make durable what it takes, or has lost its store.",
    "make room in OTELCOL_STATE_DIR and keep it over restarts; move away *.aside-* files that you have seen",
    explains=("collector-refuses",),
)
DROPS = Cause(
    "collector-drops",
    "The collector drops points: totals are too low by them.",
    "docs/runbooks/CollectorDropsPoints.md says what to do, by reason",
)
MISSES = Cause(
    "collector-misses-exports",
    "Exports were numbered and never came: totals are too low by what they carried.",
    "let nothing stand between that takes exports and does not pass them on; docs/runbooks/CollectorMissesExports.md",
    severity=Severity.WARNING,
)
CONFLICTS = Cause(
    "senders-share-a-name",
    "Two processes send under one name.",
    "give each process its own service.instance.id, or none; do not copy state directories",
    severity=Severity.WARNING,
)
FOLDS = Cause(
    "collector-folds",
    "A metric has more series than its budget; the rest is counted as `other`.",
    "bound its labels where it is recorded, or raise `series_by_metric`; docs/runbooks/CollectorFoldsPoints.md",
    severity=Severity.WARNING,
    explains=("collector-budget",),
)
REFUSES = Cause(
    "collector-refuses-points",
    "The collector has refused exports, which senders keep and repeat.",
    "raise OTELCOL_MEMORY_MIB or add a collector; where senders have tokens, look for one in whose log is 403; "
    "docs/runbooks/CollectorRefusesPoints.md",
    severity=Severity.WARNING,
)
MEMORY = Cause(
    "collector-memory",
    "The collector is near the memory at which it refuses exports.",
    "raise OTELCOL_MEMORY_MIB (the same for collector and doctor), or lower the budgets of series",
    severity=Severity.WARNING,
    explains=("collector-refuses-points",),
)
BUDGET = Cause(
    "collector-budget",
    "The collector's budget of series or names is nearly used up.",
    "bound labels, or raise OTELCOL_MAX_SERIES or OTELCOL_UNKNOWN_NAMES; docs/runbooks/CollectorSeriesBudget.md",
    severity=Severity.WARNING,
)


def _run(case: Case) -> Iterator[Finding]:
    if case.pages is None:
        return
    totals, levels, own = case.pages.totals.get(), case.pages.levels.get(), case.pages.own.get()
    yield from _pages(totals, levels, own)
    if not own.problem:
        yield from _store(own)
        yield from _lost(own)
        yield from _limits(own, case.env)


def _pages(totals: Page, levels: Page, own: Page) -> Iterator[Finding]:
    if totals.answer.status in _CLOSED:
        yield CLOSED.found(f"{totals.url} answers {totals.answer.status}")
        return
    if totals.problem and levels.problem and own.problem:
        yield PAGES_GONE.found(
            "no page of the collector can be read", *(f"{p.url}: {p.problem}" for p in (totals, levels, own))
        )
        return
    if totals.answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        yield RESTORING.found(f"{totals.url} answers 503: the collector does not have all totals yet")
    elif totals.problem:
        yield TOTALS_UNREAD.found(f"the page of totals, {totals.url}, cannot be read: {totals.problem}")
    if levels.problem:
        yield LEVELS_UNREAD.found(f"the page of levels and facts, {levels.url}, cannot be read: {levels.problem}")
    if own.problem:
        yield OWN_UNREAD.found(f"the collector's metrics of itself, {own.url}, cannot be read: {own.problem}")
    yield from _another(totals, "totals", level_specs())
    yield from _another(levels, "levels and facts", total_specs())


def _another(page: Page, of: str, specs: Iterable[Spec[Any]]) -> Iterator[Finding]:
    wrong = {sample_name(spec) for spec in specs} & page.by_name.keys()
    if wrong or any(name.startswith(("otelcol_", "fleet_totals_")) for name in page.by_name):
        shown = sorted(wrong) or sorted(page.by_name)
        yield SWAPPED.found(f"{page.url} is not the page of {of}", f"it shows {', '.join(shown[:3])}")


def _store(own: Page) -> Iterator[Finding]:
    failed, aside = own.total("fleet_totals_failed_commits_total"), own.total("fleet_totals_stores_set_aside")
    if failed or aside:
        yield STORE.found(
            f"since its start the collector failed to store {failed:.0f} times; stores set aside: {aside:.0f}"
        )


def _lost(own: Page) -> Iterator[Finding]:
    dropped = _dropped(own)
    if dropped:
        yield DROPS.found(f"since its start the collector has dropped points: {_listed(dropped)}")
    for cause, name, says in (
        (MISSES, "fleet_totals_missing_exports_total", "exports never came"),
        (CONFLICTS, "fleet_totals_conflicts_total", "exports came under the number of another one"),
    ):
        if own.total(name):
            yield cause.found(f"since the collector's start {own.total(name):.0f} {says}", f"{name} of {own.url}")
    folded = own.by("metric", "fleet_totals_folded_points_total")
    if folded:
        yield FOLDS.found(f"points beyond the budget of their metric were counted as `other`: {_listed(folded)}")
    refused = own.total("otelcol_receiver_refused_metric_points", "otelcol_receiver_failed_metric_points")
    if refused:
        yield REFUSES.found(f"since its start the collector has refused {refused:.0f} points")


def _dropped(own: Page) -> dict[str, float]:
    """Points by why."""
    names = ("fleet_totals", "fleet_levels", "fleet_prometheus")
    return {
        **own.by("reason", *(f"{name}_dropped_points_total" for name in names)),
        **{error: n for error, n in own.by("error", "otelcol_deltatocumulative_datapoints").items() if error},
    }


def _limits(own: Page, env: Mapping[str, str]) -> Iterator[Finding]:
    limit = _limit(env)
    heap = own.total("otelcol_process_runtime_heap_alloc_bytes") / _MIB
    if heap > _NEARLY * _NEARLY * limit:  # it refuses at four fifths of the limit
        yield MEMORY.found(f"the collector uses {heap:.0f} MiB, and may use {limit:g} MiB (OTELCOL_MEMORY_MIB)")
    for what, used, most in _budgets(own):
        if most and used > _NEARLY * most:
            yield BUDGET.found(f"the collector keeps {used:.0f} of at most {most:.0f} {what}")


def _limit(env: Mapping[str, str]) -> float:
    raw = env.get("OTELCOL_MEMORY_MIB", "").strip()
    return float(raw) if raw.isdecimal() and int(raw) else _MEMORY_MIB


def _budgets(own: Page) -> Iterator[tuple[str, float, float]]:
    """What is counted, how many there are, and how many there may be."""
    yield "series", own.total("fleet_totals_series"), own.total("fleet_totals_max_series")
    yield "unknown metrics", own.total("fleet_totals_unknown_names"), own.total("fleet_totals_unknown_names_budget")
    tracked, limit = (own.total(f"otelcol_deltatocumulative_streams_{name}") for name in ("tracked", "limit"))
    yield "streams", tracked, limit
    budgets = own.by("metric", "fleet_totals_series_budget")
    for metric, used in own.by("metric", "fleet_totals_series").items():
        yield f"series of {metric}", used, budgets.get(metric, 0.0)


def _listed(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:.0f}" for name, amount in sorted(amounts.items()))


CHECK = Check(
    name="collector",
    asks="Is the collector well, by its pages and by its metrics of itself?",
    causes=(
        PAGES_GONE,
        CLOSED,
        RESTORING,
        SWAPPED,
        TOTALS_UNREAD,
        LEVELS_UNREAD,
        STORE,
        DROPS,
        MISSES,
        CONFLICTS,
        FOLDS,
        MEMORY,
        REFUSES,
        BUDGET,
        OWN_UNREAD,
    ),
    run=_run,
)
