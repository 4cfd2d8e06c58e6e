"""The dashboard "Telemetry Health": whether the numbers on the other dashboards can be trusted.

The collector's own metrics carry no environment: a collector serves all of them. A query that reads two of them reads
one of `otel-collector.yaml` and one of `otel-collector.durable.yaml`.
"""

from __future__ import annotations

from grafana.boards.board import Board, Row
from grafana.boards.firing import firing, firing_by_name
from grafana.boards.panels import PER_SECOND, Panel, bars, line, number
from grafana.boards.promql import by, happened, increase, or_none, rate, select
from telemetry.catalogue import CounterSpec, celery, http, llm, telemetry
from telemetry.catalogue.telemetry import MetricLabels
from telemetry.looks import COUNT, GREEN, ORANGE, RED
from telemetry.shipped import ANCHORED

_JOBS = 'job=~"otel-collector|fastapi-queue-system.*"'
_FLEET = 'job=~"fastapi-queue-system.*"'
_REPLICAS = f"group {by('instance')} ({select(http.IN_PROGRESS.name)})"
_SENDERS = increase(telemetry.UNANSWERED_EXPORTS)
_PAGES = {"totals": "fastapi-queue-system", "levels": "fastapi-queue-system-now", "collector": "otel-collector"}
_REFUSED = 'otelcol_deltatocumulative_datapoints{error!=""}'
_COMMIT = "sum by (instance, le) (rate(fleet_totals_commit_seconds_bucket[$__rate_interval]))"


def _cut(metric: CounterSpec[MetricLabels]) -> str:
    """What senders had to cut by metric; where they export and cut nothing, `none` has 0."""
    return or_none(increase(metric, "metric"), "metric", _SENDERS)


def _or_none(points: str, label: str) -> str:
    """What happened at each collector; `none` has 0 where it runs and nothing did."""
    runs = "max by (instance) (otelcol_process_memory_rss)"
    return f'{happened(points)} or on (instance) label_replace({runs} * 0, "{label}", "none", "", "")'


def _trust() -> tuple[Panel, ...]:
    return (
        firing(),
        number(
            "Scrape targets up",
            "none",
            "The collector's three pages. Down: the numbers on every dashboard stand still; look at the collector, then"
            " at the network.",
            {page: f'min by (job) (up{{job="{job}"}})' for page, job in _PAGES.items()},
            alerts=("CollectorDown",),
            base=RED,
            steps=((1, GREEN),),
            texts={1: ("up", GREEN), 0: ("down", RED)},
            width=8,
        ),
        number(
            "Replicas reporting",
            COUNT,
            "Processes that answer HTTP and exported within a minute. Fewer than run: their export; see their log.",
            {"{{environment}}": f"count {by()} ({_REPLICAS})"},
            alerts=("SendersSilent", "FleetMetricsAbsent"),
            width=8,
        ),
        number(
            "Counts lost at the collector",
            COUNT,
            "Points it refused for good, and exports that never came. Above 0 the totals are too low by these.",
            {
                "points": f"(sum(increase({_REFUSED}[$__range]{ANCHORED})) or vector(0))"
                f" + (sum(increase(fleet_totals_dropped_points_total[$__range]{ANCHORED})) or vector(0))",
                "exports that never came": f"sum(increase(fleet_totals_missing_exports_total[$__range]{ANCHORED}))"
                " or vector(0)",
            },
            alerts=("CollectorDropsPoints", "CollectorMissesExports"),
            steps=((1, RED),),
            width=8,
        ),
        number(
            "Stores damaged or lost",
            COUNT,
            "Files that tell of a store that could not be used. Above 0 totals began anew: look, then remove them.",
            {"files": "sum(fleet_totals_stores_set_aside) or vector(0)"},
            alerts=("CollectorStoreLost",),
            steps=((1, RED),),
            width=8,
        ),
        number(
            "Brokers that report as one fleet",
            COUNT,
            "1 each. 2: two services overwrite each other's queues, and their totals are added up; name namespaces.",
            {"{{environment}}": f"count {by()} (group {by('fingerprint')} ({select(celery.BROKER.name)}))"},
            alerts=("TwoBrokersReport",),
            steps=((2, RED),),
            width=8,
        ),
        bars(
            "Counts that were not delivered",
            COUNT,
            "Events in the time range that senders gave up on, by metric: they are missing in that metric.",
            {"{{metric}} · {{environment}}": _cut(telemetry.UNDELIVERED)},
            alerts=("UndeliveredCounts",),
            base=GREEN,
            steps=((1, RED),),
            width=12,
        ),
        firing_by_name(width=12),
    )


def _collector() -> tuple[Panel, ...]:
    return (
        line(
            "Points taken and refused",
            PER_SECOND,
            "Refused points come again, failed ones are lost. Refused for long: raise OTELCOL_MEMORY_MIB.",
            {
                f"{fate} · {{{{instance}}}}": "sum by (instance) "
                f"(rate(otelcol_receiver_{fate}_metric_points[$__rate_interval]))"
                for fate in ("accepted", "refused", "failed")
            },
            alerts=("CollectorRefusesPoints",),
        ),
        line(
            "Series against the collector's limit",
            "percentunit",
            "Share of the series of totals that it may keep. Beyond 100 % new ones are lost or folded: bound labels.",
            {
                "{{instance}}": "max by (instance) (otelcol_deltatocumulative_streams_tracked)"
                " / max by (instance) (otelcol_deltatocumulative_streams_limit)"
                " or sum by (instance) (fleet_totals_series) / max by (instance) (fleet_totals_max_series)",
            },
            alerts=("CollectorSeriesBudget",),
            steps=((0.8, RED),),
            up_to=1,
        ),
        line(
            "Points refused for good, by reason",
            PER_SECOND,
            "Lost counts. What a reason means, and what to do, is on the alert's page.",
            {
                "{{error}}{{reason}} · {{instance}}": _or_none(
                    f"(sum by (instance, error) (rate({_REFUSED}[$__rate_interval])) or sum by (instance, reason) "
                    "(rate(fleet_totals_dropped_points_total[$__rate_interval])))",
                    "reason",
                )
            },
            alerts=("CollectorDropsPoints",),
        ),
        line(
            "Points folded into `other`, by metric",
            PER_SECOND,
            "Points beyond their metric's budget of series: the sum is right, the labels are lost. Bound the label.",
            {
                "{{metric}} · {{instance}}": _or_none(
                    "sum by (instance, metric) (rate(fleet_totals_folded_points_total[$__rate_interval]))", "metric"
                )
            },
            alerts=("CollectorFoldsPoints",),
        ),
        line(
            "Time of a commit",
            "s",
            "Until a group of exports is durable, in 99 of 100 cases. Growing: a slow disk.",
            {"{{instance}}": f"histogram_quantile(0.99, {_COMMIT}) >= 0"},
        ),
        line(
            "Exports repeated, missing or not stored",
            PER_SECOND,
            "Repeated ones are counted once: answers get lost. Missing ones are lost counts. While none can be stored,"
            " senders keep what they have: the disk is full or broken.",
            {
                "not stored · {{instance}}": "sum by (instance) "
                "(rate(fleet_totals_failed_commits_total[$__rate_interval]))",
                "repeated · {{instance}}": "sum by (instance) "
                "(rate(fleet_totals_duplicate_exports_total[$__rate_interval]))",
                "missing · {{instance}}": "sum by (instance) "
                "(rate(fleet_totals_missing_exports_total[$__rate_interval]))",
            },
            alerts=("CollectorMissesExports", "CollectorCannotStore"),
        ),
        line(
            "Memory of the collector",
            "bytes",
            "Near OTELCOL_MEMORY_MIB it refuses exports, and senders keep them.",
            {"{{instance}}": "otelcol_process_memory_rss"},
            alerts=("CollectorRefusesPoints",),
            width=12,
        ),
        line(
            "Restarts of the collector",
            COUNT,
            "A durable collector goes on where it was. One that is not has lost what it took and nobody had scraped.",
            {"{{instance}}": "max by (instance) (resets(otelcol_process_uptime[$__rate_interval]))"},
            alerts=("CollectorRestarted",),
            width=12,
        ),
        line(
            "Silence after which a sender is forgotten",
            "s",
            "Should its last export come again after that, it counts twice. Short: raise OTELCOL_MAX_SENDERS.",
            {"{{instance}}": "min by (instance) (fleet_totals_sender_memory_seconds)"},
            alerts=("CollectorForgetsSenders",),
            width=12,
        ),
        line(
            "Scrape time",
            "s",
            "Near the scrape interval, samples go missing: cut labels, or scrape less often.",
            {"{{job}}": f"max by (job) (scrape_duration_seconds{{{_JOBS}}})"},
            width=12,
        ),
    )


def _senders() -> tuple[Panel, ...]:
    return (
        line(
            "Exports repeated without an answer",
            PER_SECOND,
            "The durable collector counts each once. More than a few: the collector or the network is overloaded.",
            {"{{environment}}": rate(telemetry.UNANSWERED_EXPORTS)},
            alerts=("UnansweredExports",),
            width=12,
        ),
        bars(
            "Label values over budget",
            COUNT,
            "Events of the time range counted under the overflow value. Raise the budget, or bound the label.",
            {"{{metric}} · {{environment}}": _cut(telemetry.LABEL_OVERFLOWS)},
            alerts=("LabelBudgetOverflow",),
            base=GREEN,
            steps=((1, ORANGE),),
            width=12,
        ),
        bars(
            "Rejected values",
            COUNT,
            "Events of the time range with a negative, infinite or undefined value: a bug where it is recorded.",
            {"{{metric}} · {{environment}}": _cut(telemetry.REJECTED_VALUES)},
            alerts=("RejectedValues",),
            base=GREEN,
            steps=((1, ORANGE),),
            width=12,
        ),
        bars(
            "Largest metrics by series",
            COUNT,
            "Series by metric, a histogram's parts apart. What to cut first when series get too many.",
            {"{{__name__}}": f"topk(10, count by (__name__) ({{{_FLEET}}}))"},
            alerts=("CollectorSeriesBudget",),
            width=12,
        ),
    )


def _cost() -> tuple[Panel, ...]:
    return (
        bars(
            "LLM calls of unknown cost",
            COUNT,
            "Calls of the time range without a known price, or without usage. The cost is too low by these.",
            {"{{model}} · {{environment}}": or_none(increase(llm.UNPRICED, "model"), "model", increase(llm.REQUESTS))},
            alerts=("UnpricedModel",),
            base=GREEN,
            steps=((1, ORANGE),),
            width=12,
        ),
        line(
            "Samples stored",
            COUNT,
            "Samples of each scrape: what the metrics of this fleet cost in Prometheus.",
            {"{{job}}": f"sum by (job) (scrape_samples_scraped{{{_JOBS}}})"},
            width=12,
        ),
    )


BOARD = Board(
    uid="telemetry-health",
    title="Telemetry Health",
    description="Whether the numbers on the other dashboards can be trusted, and what they cost.",
    variables=(),
    rows=(
        Row("Product and DevOps: can the numbers be trusted", _trust()),
        Row("DevOps: collector", _collector()),
        Row("DevOps: senders", _senders()),
        Row("Finance: what is not priced, what is stored", _cost(), closed=True),
    ),
)
