"""For each alert: what makes it fire, what stays just below, and what must never wake anybody; in promtool's notation, a value a minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from promql_parser import parse_duration

Series = dict[str, str]


def minutes(duration: str) -> float:
    """A duration of Prometheus in minutes."""
    return float(parse_duration(duration) / timedelta(minutes=1))


@dataclass(frozen=True)
class Scenario:
    """One alert's life.

    Attributes:
        bad: Series that make it fire and, later, end.
        labels: What it says about where.
        fires_after: Minute it fires; a minute earlier it does not.
        ends_after: Minute it no longer fires.
        just_below: Series that nearly make it fire.
        never: Harmless situations that a simpler expression takes for trouble.
        also_bad: Trouble that a simpler expression does not see; fires at the same minute.
    """

    bad: Series
    labels: dict[str, str]
    fires_after: float
    ends_after: float
    just_below: Series
    never: tuple[Series, ...] = ()
    also_bad: tuple[Series, ...] = ()


PROD = {"environment": "prod"}
TASK = {**PROD, "queue": "high", "task_name": "reply"}
LOST = {**PROD, "hostname": "celery@a", "ended_by": "SIGKILL"}
ROUTE = {**PROD, "endpoint": "/chats", "method": "POST"}
MODEL = {**PROD, "model": "gpt-4o-mini", "provider": "openai"}
METRIC = {**PROD, "metric": "errors_total"}
COLLECTOR = {"instance": "collector:8888", "job": "otel-collector"}
AT = {"instance": COLLECTOR["instance"]}
RECEIVER = {**COLLECTOR, "receiver": "otlp", "transport": "http"}


def of(metric: str, labels: dict[str, str], /, **more: str) -> str:
    """A series' name."""
    inside = ", ".join(f'{key}="{value}"' for key, value in {**labels, **more}.items())
    return f"{metric}{{{inside}}}"


def tasks(failed: str, completed: str) -> Series:
    """Tasks of one kind that end."""
    return {of("celery_tasks_failed_total", TASK): failed, of("celery_tasks_completed_total", TASK): completed}


def every(minutes: int, failed: str, completed: str = "") -> Series:
    """A task of a schedule: how many of its runs fail, and how many succeed, at each turn."""
    return tasks(*(" ".join(_steps(minutes, turns)) for turns in (failed, completed or "0" * len(failed))))


def _steps(minutes: int, turns: str) -> Iterator[str]:
    total = 0
    yield f"0x{5}"
    for turn in turns:
        total += int(turn)
        yield f"{total}x{minutes - 1}"


def nodes(second: str) -> Series:
    """Two worker nodes, one always alive."""
    return {
        of("celery_active_workers", PROD, hostname="a"): "1x560",
        of("celery_active_workers", PROD, hostname="b"): second,
    }


def answers(errors: str, fine: str, endpoint: str = "/chats") -> Series:
    """Requests answered with 500 and with 200."""
    route = {**ROUTE, "endpoint": endpoint}
    return {
        of("http_requests_total", route, status_code="500"): errors,
        of("http_requests_total", route, status_code="200"): fine,
    }


def durations(within_a_second: str, all_of_them: str, endpoint: str = "/chats") -> Series:
    """Requests of a route: some within 1 s, all within 2.5 s."""
    route, name = {**ROUTE, "endpoint": endpoint}, "http_request_duration_seconds"
    buckets = {"1.0": within_a_second, "2.5": all_of_them, "+Inf": all_of_them}
    return {of(f"{name}_bucket", route, le=bound): values for bound, values in buckets.items()} | {
        of(f"{name}_count", route): all_of_them
    }


def within_promise(fast: str, all_of_them: str) -> Series:
    """Requests of a route: some within 2.5 s, all within 5 s."""
    name = "http_request_duration_seconds"
    return {
        of(f"{name}_bucket", ROUTE, le="2.5"): fast,
        of(f"{name}_bucket", ROUTE, le="5.0"): all_of_them,
        of(f"{name}_count", ROUTE): all_of_them,
    }


def cache(hits: str, requests: str) -> Series:
    """LLM requests, some from the cache."""
    return {of("llm_cache_hits_total", MODEL): hits, of("llm_requests_total", MODEL): requests}


def once(metric: str, labels: dict[str, str], value: int = 1) -> Series:
    """A counter that stands at 0 and jumps at minute 6."""
    return {of(metric, labels): f"0x5 {value}x200"}


def never(metric: str, labels: dict[str, str]) -> Series:
    """A counter that stays at 0."""
    return {of(metric, labels): "0x200"}


def jump(metric: str, labels: dict[str, str], shown: dict[str, str], **times: Any) -> Scenario:
    """An alert on any increase of a counter within 15 minutes."""
    timing = {"fires_after": 6, "ends_after": 25} | times
    return Scenario(once(metric, labels), shown, just_below=never(metric, labels), **timing)


SCENARIOS: dict[str, Scenario] = {
    "NoActiveWorkers": Scenario(
        {of("celery_active_workers", PROD, hostname="a"): "1x4 0x20 1x20"},
        PROD,
        fires_after=7,
        ends_after=28,
        just_below={
            of("celery_active_workers", PROD, hostname="a"): "0x60",
            of("celery_active_workers", PROD, hostname="b"): "1x60",
        },
        never=(
            {of("up", {"instance": "collector:8890", "job": "fastapi-queue-system-now"}): "0x60"},  # CollectorDown
            # A service with a namespace that has never published a task needs no workers.
            {
                of("http_requests_total", {**ROUTE, "service_namespace": "search"}, status_code="200"): "0+10x60",
                of("celery_active_workers", {**PROD, "service_namespace": "shop"}, hostname="a"): "1x60",
            },
        ),
        also_bad=(
            # The broker is away, so nobody knows of a worker, while the API goes on and another environment is well.
            answers("0x30", "0+10x30") | {of("celery_active_workers", {"environment": "stage"}, hostname="b"): "1x30"},
        ),
    ),
    "HighTaskFailureRate": Scenario(
        tasks("0+11x40 440x60", "0+89x100"),
        TASK,
        fires_after=6,
        ends_after=50,
        just_below=tasks("0+99x100", "0+901x100"),
        never=(
            tasks("5x100", "5x100"),
            # A burst was submitted, worked off later, and one of many failed: the guide's expression divides by 0.
            tasks("0x10 1x90", "0+50x100") | {of("celery_tasks_submitted_total", TASK): "5000x100"},
            tasks("0x100", "0+10x100") | {of("celery_tasks_retried_total", TASK): "0+50x100"},
            # A fleet that has never completed one and is about to.
            {of("celery_tasks_failed_total", TASK): "0+9x100", of("celery_tasks_submitted_total", TASK): "0+100x100"},
        ),
        also_bad=(
            {of("celery_tasks_failed_total", TASK): "0+5x30"},
            # Everything fails while the queue grows: failed by submitted stays under 10 %.
            tasks("0+5x30", "0x30") | {of("celery_tasks_submitted_total", TASK): "0+1000x30"},
        ),
    ),
    "QueueBacklog": Scenario(
        {of("celery_queue_length", PROD, queue="high"): "100x2 101x30 100x30"},
        {**PROD, "queue": "high"},
        fires_after=13,
        ends_after=35,
        just_below={of("celery_queue_length", PROD, queue="high"): "100x60"},
        never=({of("celery_queue_length", PROD, queue="high"): "500x8 0x50"},),
    ),
    "HighErrorRate": Scenario(
        answers("0+51x40 2040x60", "0+949x100"),
        PROD,
        fires_after=6,
        ends_after=50,
        just_below=answers("0+49x100", "0+951x100"),
        never=(answers("3x60", "100x60"), answers("0+1x60", "0+9x60", endpoint="/ready")),
        also_bad=(answers("0+4x30", "0x30") | {of("http_requests_total", ROUTE, endpoint="/health"): "0+100x30"},),
    ),
    "HighResponseTime": Scenario(
        durations("0x100", "0+20x40 800x60"),
        ROUTE,
        fires_after=11,
        ends_after=50,
        just_below=durations("0+18x60", "0+20x60"),
        never=(
            durations("0x100", "0+0.8x100"),  # a quiet route: 4 requests in 5 minutes
            durations("0x100", "0+20x100", endpoint="/chats/{id}/stream"),
            durations("7x100", "20x100"),
        ),
    ),
    "HighLLMCost": Scenario(
        {of("llm_cost_usd_total", MODEL): "0+0.9x60 54x120"},
        PROD,
        fires_after=56,
        ends_after=70,
        just_below={of("llm_cost_usd_total", MODEL): "0+0.83x200"},
        never=({of("llm_cost_usd_total", {**MODEL, "environment": "dev"}): "0+5x200"},),
    ),
    "LowCacheHitRate": Scenario(
        cache("0+29x200 5800+90x200", "0+100x400"),
        PROD,
        fires_after=121,
        ends_after=230,
        just_below=cache("0+31x400", "0+100x400"),
        never=(cache("4x400", "90x400"),),
        also_bad=({of("llm_requests_total", MODEL): "0+100x400"},),
    ),
    "QueueStalled": Scenario(
        {of("celery_queue_length", PROD, queue="high"): "5x60 0x20"},
        {**PROD, "queue": "high"},
        fires_after=10,
        ends_after=62,
        just_below={
            of("celery_queue_length", PROD, queue="high"): "5x80",
            of("celery_task_wait_seconds_count", TASK): "0+0.2x80",
        },
        never=({of("celery_queue_length", PROD, queue="high"): "0x80"},),
    ),
    "QueueNotConsumed": Scenario(
        {
            of("celery_queue_length", PROD, queue="high"): "0x5 3x40",
            of("celery_queue_consumers", PROD, queue="high", instance="a"): "1x5 0x20 1x20",
            of("celery_queue_consumers", PROD, queue="low", instance="a"): "1x45",
        },
        {**PROD, "queue": "high"},
        fires_after=11,
        ends_after=28,
        just_below={
            of("celery_queue_length", PROD, queue="high"): "0x5 3x40",
            of("celery_queue_consumers", PROD, queue="high", instance="a"): "1x5 stale",
            of("celery_queue_consumers", PROD, queue="high", instance="b"): "0x8 1x40",
        },
        never=(
            {  # nobody is left: NoActiveWorkers
                of("celery_queue_length", PROD, queue="high"): "3x45",
                of("celery_queue_consumers", PROD, queue="high", instance="a"): "1x5 stale",
            },
            {  # nothing is in it
                of("celery_queue_length", PROD, queue="high"): "0x45",
                of("celery_tasks_submitted_total", TASK): "0+5x45",
                of("celery_queue_consumers", PROD, queue="low", instance="a"): "1x45",
            },
            {  # a restart
                of("celery_queue_length", PROD, queue="high"): "3x45",
                of("celery_queue_consumers", PROD, queue="high", instance="a"): "1x5 stale",
                of("celery_queue_consumers", PROD, queue="high", instance="b"): "_x8 1x36",
                of("celery_queue_consumers", PROD, queue="low", instance="c"): "1x45",
            },
        ),
        also_bad=(
            {  # no length can be read, and tasks are sent there
                of("celery_tasks_submitted_total", TASK): "0x5 5+5x40",
                of("celery_queue_consumers", PROD, queue="low", instance="a"): "1x45",
            },
        ),
    ),
    "WorkersMissing": Scenario(
        nodes("1x200 0x60 1x300"),
        PROD,
        fires_after=216,
        ends_after=263,
        just_below=nodes("1x200 0x13 1x300"),
        never=(
            # A rollout: each node ends and comes under another name.
            {
                of("celery_active_workers", PROD, hostname="a1"): "1x200 0x60 stale",
                of("celery_active_workers", PROD, hostname="b1"): "1x205 0x60 stale",
                of("celery_active_workers", PROD, hostname="a2"): "_x203 1x300",
                of("celery_active_workers", PROD, hostname="b2"): "_x210 1x300",
            },
            # Autoscaling: each night one node, and this one, too.
            nodes("1x100 0x90 1x26 0x100"),
            # All are gone: NoActiveWorkers.
            {of("celery_active_workers", PROD, hostname=name): "1x200 0x300" for name in "ab"},
            # The broker is away, so nobody knows.
            {of("celery_active_workers", PROD, hostname=name): "1x200 stale" for name in "ab"},
        ),
        also_bad=(
            # A rollout whose new node never comes.
            {
                of("celery_active_workers", PROD, hostname="a1"): "1x200 0x60 stale",
                of("celery_active_workers", PROD, hostname="b1"): "1x190 0x60 stale",
                of("celery_active_workers", PROD, hostname="b2"): "_x195 1x300",
            },
        ),
    ),
    "TaskAlwaysFails": Scenario(
        every(60, failed="11110", completed="00001"),
        TASK,
        fires_after=131,
        ends_after=250,
        just_below=every(60, failed="11000000", completed="00111111"),
        never=(
            every(60, failed="11011", completed="00100"),  # of three, one goes well
            every(60, failed="1000000", completed="0111111"),  # once, then it succeeds
            tasks("0+5x260", "0+95x260"),  # busy, and well within the share
            tasks("0+5x260", "0+1x260"),  # busy, and bad: HighTaskFailureRate
            tasks("7x260", "0x260"),  # failed long ago
            # The collector lost its totals and began anew, which is no failure.
            tasks("7x60 0x200", "9x60 0x200"),
            # The first success is where its counter begins.
            {
                of("celery_tasks_failed_total", TASK): "0x5 3x250",
                of("celery_tasks_completed_total", TASK): "_x7 1x250",
            },
        ),
        also_bad=(
            every(10, failed="0" * 6 + "1" * 30),
            every(40, failed="1111"),
            # A new task, whose counter does not begin at 0.
            {of("celery_tasks_failed_total", TASK): "_x29 1x29 2x29 3x29 4x29 5x100"},
            # The collector lost its totals in between.
            tasks("5x29 6x29 7x29 0x15 1x200", "9x100 0x200"),
        ),
    ),
    "TasksNeverRan": Scenario(
        once("celery_tasks_dropped_total", {**TASK, "reason": "expired"}),
        TASK,
        fires_after=6,
        ends_after=25,
        just_below={of("celery_tasks_dropped_total", TASK, reason="revoked"): "0+1x60"},
    ),
    "PoolProcessesLost": jump("celery_pool_processes_lost_total", LOST, LOST),
    "BeatOverdue": Scenario(
        {of("celery_beat_overdue_seconds", PROD, instance="beat"): "0x4 61x20 0x20"},
        PROD,
        fires_after=7,
        ends_after=28,
        just_below={of("celery_beat_overdue_seconds", PROD, instance="beat"): "60x60"},
    ),
    "BeatGone": Scenario(
        {
            of("celery_beat_overdue_seconds", PROD, instance="beat"): "0x10 stale",
            of("celery_worker_pool_size", PROD, hostname="a", instance="w"): "4x200",
        },
        PROD,
        fires_after=16,
        ends_after=75,
        just_below={
            of("celery_beat_overdue_seconds", PROD, instance="beat"): "0x10 stale",
            of("celery_beat_overdue_seconds", PROD, instance="another"): "_x14 0x90",
            of("celery_worker_pool_size", PROD, hostname="a", instance="w"): "4x200",
        },
        never=(
            {  # SendersSilent
                of("celery_beat_overdue_seconds", PROD, instance="beat"): "0x10 stale",
                of("celery_worker_pool_size", PROD, hostname="a", instance="w"): "4x10 stale",
            },
            {of("celery_worker_pool_size", PROD, hostname="a", instance="w"): "4x200"},  # a fleet without beat
        ),
    ),
    "HttpAvailabilityBurnsFast": Scenario(
        answers("0+8x60 480x400", "0+92x460"),
        PROD,
        fires_after=3,
        ends_after=95,
        just_below=answers("0+29x200", "0+971x200"),
        never=(answers("0+1x200", "0x200"),),  # 60 requests an hour say nothing
    ),
    "HttpAvailabilityBurnsSlowly": Scenario(
        answers("0+16x60 960x400", "0+984x460"),
        PROD,
        fires_after=16,
        ends_after=220,
        just_below=answers("0+4x300", "0+996x300"),
    ),
    "HttpLatencyBurnsFast": Scenario(
        within_promise("0+69x60 4140+100x100", "0+100x160"),
        PROD,
        fires_after=3,
        ends_after=75,
        just_below=within_promise("0+71x100", "0+100x100"),
    ),
    "HttpLatencyBurnsSlowly": Scenario(
        within_promise("0+94x60 5640+100x100", "0+100x160"),
        PROD,
        fires_after=16,
        ends_after=130,
        just_below=within_promise("0+96x100", "0+100x100"),
    ),
    "TaskSuccessBurnsFast": Scenario(
        tasks("0+7x60 420x100", "0+93x160"),
        PROD,
        fires_after=3,
        ends_after=80,
        just_below=tasks("0+5x100", "0+95x100"),
    ),
    "TaskSuccessBurnsSlowly": Scenario(
        tasks("0+2x60 120x200", "0+98x260"),
        PROD,
        fires_after=16,
        ends_after=140,
        just_below=tasks("0+9x200", "0+991x200"),
    ),
    "CollectorDown": Scenario(
        {of("up", COLLECTOR): "1x4 0x20 1x20"},
        COLLECTOR,
        fires_after=6,
        ends_after=28,
        just_below={of("up", COLLECTOR): "1x60"},
        never=({of("up", {"job": "somebody-elses"}): "0x60", of("up", COLLECTOR): "1x60"},),
    ),
    "FleetMetricsAbsent": Scenario(
        {
            of("http_requests_total", ROUTE, status_code="200"): "_x19 0x60",
            of("celery_tasks_submitted_total", TASK): "0x80",
        },
        {},
        fires_after=5,
        ends_after=25,
        never=({of("up", {"instance": "collector:8889", "job": "fastapi-queue-system"}): "0x60"},),  # CollectorDown
        just_below={
            of("http_requests_total", ROUTE, status_code="200"): "0x60",
            of("celery_tasks_submitted_total", TASK): "0x60",
        },
    ),
    "SendersSilent": Scenario(
        {
            of("http_requests_total", ROUTE, status_code="200"): "0+10x10 100x80",
            of("http_requests_in_progress", ROUTE, instance="a"): "0x10 stale",
        },
        PROD,
        fires_after=16,
        ends_after=75,
        just_below={
            of("http_requests_total", ROUTE, status_code="200"): "0+10x90",
            of("http_requests_in_progress", ROUTE, instance="a"): "0x10 stale",
            of("http_requests_in_progress", ROUTE, instance="b"): "0x90",
        },
    ),
    "CollectorDropsPoints": Scenario(
        {of("otelcol_deltatocumulative_datapoints", COLLECTOR, error="limit"): "_x6 3x60"},
        {**AT, "error": "limit"},
        fires_after=6,
        ends_after=15,
        just_below={of("otelcol_deltatocumulative_datapoints", COLLECTOR): "0+100x60"},
        never=(never("fleet_totals_dropped_points_total", {**COLLECTOR, "reason": "amount"}),),
        also_bad=({of("otelcol_deltatocumulative_datapoints", COLLECTOR, error="limit"): "0+3x30"},),
    ),
    "CollectorMissesExports": jump("fleet_totals_missing_exports_total", COLLECTOR, AT),
    "CollectorFoldsPoints": Scenario(
        {of("fleet_totals_folded_points_total", COLLECTOR, metric="errors_total"): "_x6 3x60"},
        {**AT, "metric": "errors_total"},
        fires_after=6,
        ends_after=25,
        just_below=never("fleet_totals_folded_points_total", {**COLLECTOR, "metric": "errors_total"}),
        also_bad=({of("fleet_totals_folded_points_total", COLLECTOR, metric="errors_total"): "0+3x30"},),
    ),
    "CollectorForgetsSenders": Scenario(
        {of("fleet_totals_sender_memory_seconds", COLLECTOR): "604800x5 1800x20 604800x30"},
        AT,
        fires_after=6,
        ends_after=27,
        just_below={of("fleet_totals_sender_memory_seconds", COLLECTOR): "3600x60"},
    ),
    "CollectorCannotStore": Scenario(
        {of("fleet_totals_failed_commits_total", COLLECTOR): "0x5 0+1x20 20x30"},
        AT,
        fires_after=9,
        ends_after=33,
        just_below={of("fleet_totals_failed_commits_total", COLLECTOR): "0x60"},
    ),
    "CollectorStoreLost": Scenario(
        {of("fleet_totals_stores_set_aside", COLLECTOR): "0x5 1x30 0x30"},
        AT,
        fires_after=6,
        ends_after=37,
        just_below={
            of("fleet_totals_stores_set_aside", COLLECTOR): "0x60",
            of("fleet_totals_store_birth_seconds", COLLECTOR): "1000x10 stale 1000x60",  # a restart
        },
        also_bad=({of("fleet_totals_store_birth_seconds", COLLECTOR): "1000x5 2000x60"},),
    ),
    "CollectorRefusesPoints": Scenario(
        {
            of("otelcol_receiver_refused_metric_points", RECEIVER): "0+1x60 60x30",
            of("otelcol_receiver_failed_metric_points", RECEIVER): "0x90",
        },
        AT,
        fires_after=11,
        ends_after=70,
        just_below={
            of("otelcol_receiver_accepted_metric_points", RECEIVER): "0+100x90",
            of("otelcol_receiver_refused_metric_points", RECEIVER): "0x20 9x70",
            of("otelcol_receiver_failed_metric_points", RECEIVER): "0x90",
        },
    ),
    "CollectorSeriesBudget": Scenario(
        {
            of("otelcol_deltatocumulative_streams_tracked", COLLECTOR): "80001x30 79000x30",
            of("otelcol_deltatocumulative_streams_limit", COLLECTOR): "100000x60",
        },
        AT,
        fires_after=10,
        ends_after=32,
        just_below={
            of("otelcol_deltatocumulative_streams_tracked", COLLECTOR): "80000x60",
            of("otelcol_deltatocumulative_streams_limit", COLLECTOR): "100000x60",
        },
        never=(
            {
                of("fleet_totals_series", COLLECTOR, metric="errors_total"): "8000x60",
                of("fleet_totals_series_budget", COLLECTOR, metric="errors_total"): "10000x60",
                of("fleet_totals_max_series", COLLECTOR): "10000x60",
                of("fleet_totals_unknown_names", COLLECTOR): "160x60",
                of("fleet_totals_unknown_names_budget", COLLECTOR): "200x60",
            },
        ),
        also_bad=(
            {
                of("fleet_totals_series", COLLECTOR, metric="errors_total"): "801x30",
                of("fleet_totals_series", COLLECTOR, metric="http_requests_total"): "8000x30",
                of("fleet_totals_max_series", COLLECTOR): "10000x30",
            },
            {
                of("fleet_totals_unknown_names", COLLECTOR): "161x30",
                of("fleet_totals_unknown_names_budget", COLLECTOR): "200x30",
            },
        ),
    ),
    "CollectorRestarted": Scenario(
        {of("otelcol_process_uptime", COLLECTOR): "0+60x10 0+60x60"},
        AT,
        fires_after=11,
        ends_after=28,
        just_below={of("otelcol_process_uptime", COLLECTOR): "0+60x90"},
        never=(
            {  # a durable collector goes on where it was
                of("otelcol_process_uptime", COLLECTOR): "0+60x10 0+60x60",
                of("fleet_totals_max_series", COLLECTOR): "100000x90",
            },
        ),
    ),
    "UndeliveredCounts": jump("telemetry_undelivered_total", METRIC, METRIC),
    "TwoBrokersReport": Scenario(
        {
            of("celery_broker_info", PROD, fingerprint="a"): "1x60",
            of("celery_broker_info", PROD, fingerprint="b"): "_x4 1x20 stale",
        },
        PROD,
        fires_after=9,
        ends_after=26,
        just_below={  # a collector's page for a minute after the broker lost its name, or moved
            of("celery_broker_info", PROD, fingerprint="a"): "1x9 stale",
            of("celery_broker_info", PROD, fingerprint="b"): "_x5 1x60",
        },
        never=(
            {
                of("celery_broker_info", {**PROD, "service_namespace": name}, fingerprint=name): "1x60"
                for name in ("shop", "search")
            },
            {of("celery_broker_info", {"environment": name}, fingerprint=name): "1x60" for name in ("prod", "dev")},
            {of("celery_broker_info", PROD, fingerprint="a", instance=collector): "1x60" for collector in "ab"},
        ),
        also_bad=(
            {
                of("celery_broker_info", PROD, fingerprint="a", instance="one"): "1x60",
                of("celery_broker_info", PROD, fingerprint="b", instance="other"): "_x4 1x60",
            },
        ),
    ),
    "LabelBudgetOverflow": jump("telemetry_label_overflows_total", METRIC, METRIC),
    "RejectedValues": jump("telemetry_rejected_values_total", METRIC, METRIC),
    "UnpricedModel": jump("llm_unpriced_requests_total", MODEL, MODEL, fires_after=11, ends_after=70),
    "UnansweredExports": Scenario(
        once("telemetry_unanswered_exports_total", PROD, 11),
        PROD,
        fires_after=11,
        ends_after=25,
        just_below=once("telemetry_unanswered_exports_total", PROD, 10),
    ),
}
