"""What peers call what we measure: their names as recording rules on ours, and what of theirs has none.

Where a peer and we have one name for a metric, a rule would double it: there the scrape gives our series the peer's
labels beside their own (``relabelings``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from grafana.rules.fleet import WHOSE
from telemetry.catalogue import HistogramSpec, Spec, celery, database, http, llm

_PARTS = ("bucket", "sum", "count")
ASIDE = "old_"


@dataclass(frozen=True)
class Renamed:
    """A label of theirs that is a label of ours.

    Attributes:
        old: Theirs.
        ours: Ours, or another one of theirs that an earlier entry makes.
        pattern: Which of its values; others leave theirs as it is.
        value: What theirs is then.
    """

    old: str
    ours: str
    pattern: str = "(.*)"
    value: str = "$1"


@dataclass(frozen=True)
class Old:
    """A metric of theirs that ours says as well.

    Attributes:
        name: Theirs, without the suffixes of a histogram's series.
        spec: Ours.
        labels: Theirs, and what of ours they are.
        where: Which series of ours, in PromQL.
        constant: Labels of theirs that are always the same here.
        part: Of a histogram of ours the series that theirs is, where it is only one.
        remark: What differs, for people.
    """

    name: str
    spec: Spec[Any]
    labels: tuple[Renamed, ...] = ()
    where: str = ""
    constant: tuple[tuple[str, str], ...] = ()
    part: str = ""
    remark: str = ""

    @property
    def keeps_its_name(self) -> bool:
        """Whether ours has the same name."""
        return self.name == self.spec.name

    @property
    def label_keys(self) -> tuple[str, ...]:
        """Theirs, but for constant ones."""
        return tuple(dict.fromkeys(label.old for label in self.labels))


@dataclass(frozen=True)
class Gone:
    """A metric of theirs that nothing of ours says.

    Attributes:
        name: Theirs.
        reason: Why, and what answers the question it was there for.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Peer:
    """Something that measures what we measure.

    Attributes:
        name: Of its package, and of files about it.
        olds: Its metrics.
        gone: Those that have no counterpart.
    """

    name: str
    olds: tuple[Old, ...]
    gone: tuple[Gone, ...] = ()

    def group(self) -> dict[str, Any]:
        """Recording rules that give its names; those that are ours as well are left to ``relabelings``."""
        rules = [rule for old in self.olds if not old.keeps_its_name for rule in _rules(old)]
        return {"name": f"compatibility_{self.name.replace('-', '_')}", "interval": "15s", "rules": rules}

    def aside(self) -> list[dict[str, Any]]:
        """``metric_relabel_configs`` for the job that scrapes the peer itself: what ours says as well gets a prefix."""
        names = "|".join(dict.fromkeys(old.name for old in self.olds))
        regex = f"((?:{names})(?:_(?:{'|'.join(_PARTS)}))?)"
        return [
            {
                "source_labels": ["__name__"],
                "regex": regex,
                "target_label": "__name__",
                "replacement": f"{ASIDE}${{1}}",
            }
        ]

    def relabelings(self) -> list[dict[str, Any]]:
        """``metric_relabel_configs`` for the scrape of our totals and levels, where names are the same."""
        return [entry for old in self.olds if old.keeps_its_name for entry in _relabelings(old)]


def _rules(old: Old) -> Iterator[dict[str, Any]]:
    for theirs, ours, extra in _series(old):
        rule = {"record": theirs, "expr": _summed(old, _selected(old, ours), extra)}
        yield rule | ({"labels": dict(old.constant)} if old.constant else {})


def _series(old: Old) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Names of each series of theirs and of ours, and the labels that come with being part of a histogram."""
    if old.part:
        yield old.name, f"{old.spec.name}_{old.part}", ()
    elif isinstance(old.spec, HistogramSpec):
        for part in _PARTS:
            yield f"{old.name}_{part}", f"{old.spec.name}_{part}", ("le",) if part == "bucket" else ()
    else:
        yield old.name, old.spec.name, ()


def _selected(old: Old, name: str) -> str:
    expression = f"{name}{{{old.where}}}" if old.where else name
    if old.spec.kind == "level":  # a process whose exports went to two collectors is on both for a minute
        expression = f"max by ({', '.join(('instance', *WHOSE, *old.spec.label_keys))}) ({expression})"
    for label in old.labels:
        if label.old != label.ours or label.pattern != "(.*)":
            expression = (
                f'label_replace({expression}, "{label.old}", "{label.value}", "{label.ours}", "{label.pattern}")'
            )
    return expression


def _summed(old: Old, expression: str, extra: tuple[str, ...]) -> str:
    operation = "max" if old.spec.kind == "fact" else "sum"
    return f"{operation} by ({', '.join((*WHOSE, *old.label_keys, *extra))}) ({expression})"


def _relabelings(old: Old) -> Iterator[dict[str, Any]]:
    names = f"{old.name}(?:_(?:{'|'.join(_PARTS)}))?" if isinstance(old.spec, HistogramSpec) else old.name
    for label in old.labels:
        if label.old != label.ours or label.pattern != "(.*)":
            yield {
                "source_labels": ["__name__", label.ours],
                "regex": f"{names};{label.pattern}",
                "target_label": label.old,
                "replacement": label.value.replace("$1", "${1}"),
            }


# --- the peers --------------------------------------------------------------------------------------------------------

_METHOD = Renamed("method", "method")
_STATUS = Renamed("status_code", "status_code")

_HANDLER = (Renamed("handler", "endpoint"), Renamed("handler", "endpoint", "unmatched", "none"))
_NO_METHOD = "series are by method, too"
INSTRUMENTATOR = Peer(
    "prometheus-fastapi-instrumentator",
    (
        Old(
            "http_requests_total",
            http.REQUESTS,
            (*_HANDLER, _METHOD, Renamed("status", "status_code", "([0-9])..", "${1}xx")),
            remark="`status_code` is whole; a client that left is a 499, theirs a 200 or 500",
        ),
        Old(
            "http_request_duration_seconds",
            http.DURATION,
            (*_HANDLER, _METHOD),
            remark="14 buckets instead of 3; theirs are among them",
        ),
        Old(
            "http_request_duration_highr_seconds",
            http.DURATION,
            remark="14 buckets instead of 21, by route as well: use `http_request_duration_seconds`",
        ),
        Old(
            "http_request_size_bytes",
            http.REQUEST_SIZE,
            _HANDLER,
            remark=f"bytes that were read, not the header; requests without a body are not in `_count`; {_NO_METHOD}",
        ),
        Old(
            "http_response_size_bytes",
            http.RESPONSE_SIZE,
            _HANDLER,
            remark=f"bytes that were sent, streams too; responses without a body are not in `_count`; {_NO_METHOD}",
        ),
        Old("http_requests_inprogress", http.IN_PROGRESS, (*_HANDLER, _METHOD), remark="theirs is off by default"),
    ),
    (Gone("`..._created`", "the collector's page has created timestamps where they are asked for"),),
)

_PATH = Renamed("path", "endpoint")
_ROUTED = 'endpoint!="unmatched"'
_FILTERED = "theirs leaves out what has no route, so does the rule"
_APP_NAME = (("app_name", "starlette"),)
STARLETTE_EXPORTER = Peer(
    "starlette-exporter",
    (
        Old(
            "starlette_requests_total",
            http.REQUESTS,
            (_METHOD, _PATH, _STATUS),
            _ROUTED,
            _APP_NAME,
            remark=f"{_FILTERED}; their `app_name` is our `service_namespace`",
        ),
        Old(
            "starlette_request_duration_seconds",
            http.DURATION,
            (_METHOD, _PATH),
            _ROUTED,
            _APP_NAME,
            remark="by route, not by status",
        ),
        Old("starlette_requests_in_progress", http.IN_PROGRESS, (_METHOD,), "", _APP_NAME, remark="ours has the route"),
        Old(
            "starlette_request_body_bytes_total",
            http.REQUEST_SIZE,
            (_METHOD, _PATH),
            _ROUTED,
            _APP_NAME,
            "sum",
            remark="bytes that were read, not the header; by route, not by status",
        ),
        Old(
            "starlette_response_body_bytes_total",
            http.RESPONSE_SIZE,
            (_METHOD, _PATH),
            _ROUTED,
            _APP_NAME,
            "sum",
            remark="bytes that were sent, streams too; by route, not by status",
        ),
    ),
    (Gone("labels of `labels=`", "labels are declared with a bound: `docs/own-metrics.md`"),),
)

_NAME = Renamed("name", "task_name")
_QUEUE_NAME = Renamed("queue_name", "queue")
_TASK = (_NAME, _QUEUE_NAME)
_HOST = Renamed("hostname", "hostname", "[^@]*@(.*)", "$1")
_BY_HOST = "`hostname` is the host there, the whole node name here"
CELERY_EXPORTER = Peer(
    "celery-exporter",
    (
        Old(
            "celery_task_sent_total",
            celery.SUBMITTED,
            _TASK,
            remark="a retry is not a submission; no `hostname`",
        ),
        Old("celery_task_succeeded_total", celery.COMPLETED, _TASK, remark="no `hostname`"),
        Old(
            "celery_task_failed_total",
            celery.FAILED,
            _TASK,
            remark="no `hostname`; `celery_task_exceptions_total` is by exception; killed processes, too",
        ),
        Old("celery_task_retried_total", celery.RETRIED, _TASK, remark="no `hostname`"),
        Old(
            "celery_task_revoked_total",
            celery.DROPPED,
            _TASK,
            'reason=~"revoked|expired|terminated"',
            remark="reasons apart; no `hostname`",
        ),
        Old("celery_task_rejected_total", celery.DROPPED, _TASK, 'reason="rejected"', remark="no `hostname`"),
        Old(
            "celery_task_runtime",
            celery.RUNTIME,
            (_NAME,),
            'outcome="completed"',
            remark="theirs has successful runs only; with the queue: `celery_task_duration_seconds`",
        ),
        Old("celery_worker_up", celery.ACTIVE_WORKERS, (_HOST,), remark=_BY_HOST),
        Old("celery_worker_tasks_active", celery.HELD, (_HOST,), 'state="active"', remark=_BY_HOST),
        Old(
            "celery_queue_length",
            celery.QUEUE_LENGTH,
            (_QUEUE_NAME,),
            remark="all priorities together",
        ),
        Old(
            "celery_active_consumer_count",
            celery.CONSUMERS,
            (_QUEUE_NAME,),
            remark="worker nodes, as they say, on each broker; theirs is RabbitMQ's count of consumers",
        ),
    ),
    (
        Gone(
            "`celery_task_received_total`, `celery_task_started_total`",
            "counts of steps, not of ends: a redelivery counts twice; `celery_task_wait_seconds` has the time between",
        ),
        Gone(
            "`celery_active_worker_count`, `celery_active_process_count`",
            "workers and the size of their pools are by node, `celery_active_workers`, `celery_worker_pool_size`",
        ),
    ),
)

_TASK_OF_FLOWER = (Renamed("task", "task_name"),)
_WORKER = (Renamed("worker", "hostname"),)
_NO_WORKER = "no `worker`"


def _event(kind: str, spec: Spec[Any], where: str = "", remark: str = _NO_WORKER) -> Old:
    return Old("flower_events_total", spec, _TASK_OF_FLOWER, where, (("type", f"task-{kind}"),), remark=remark)


FLOWER = Peer(
    "flower",
    (
        _event("sent", celery.SUBMITTED, remark=f"a retry is not a submission; {_NO_WORKER}"),
        _event("succeeded", celery.COMPLETED),
        _event("failed", celery.FAILED, remark=f"time limits and killed processes, too; {_NO_WORKER}"),
        _event("retried", celery.RETRIED),
        _event("revoked", celery.DROPPED, 'reason=~"revoked|expired|terminated"', f"reasons apart; {_NO_WORKER}"),
        _event("rejected", celery.DROPPED, 'reason="rejected"'),
        Old(
            "flower_task_runtime_seconds",
            celery.RUNTIME,
            _TASK_OF_FLOWER,
            'outcome="completed"',
            remark=f"theirs has successful runs only; {_NO_WORKER}",
        ),
        Old("flower_worker_online", celery.ACTIVE_WORKERS, _WORKER),
        Old(
            "flower_worker_number_of_currently_executing_tasks",
            celery.HELD,
            _WORKER,
            'state="active"',
        ),
        Old("flower_worker_prefetched_tasks", celery.HELD, _WORKER, 'state="reserved"', remark="no `task`"),
    ),
    (
        Gone(
            "`flower_task_prefetch_time_seconds`",
            "the last value of a gauge; `celery_task_wait_seconds` has the distribution",
        ),
        Gone('`flower_events_total{type="task-received"}`, `"task-started"`', "counts of steps, not of ends"),
    ),
)

_ROUTE = (Renamed("http_request_method", "method"), Renamed("http_route", "endpoint"))
_MODEL = (Renamed("gen_ai_provider_name", "provider"), Renamed("gen_ai_request_model", "model"))
_POOL = (Renamed("pool_name", "pool"),)


def _tokens(kind: str, types: str) -> Old:
    return Old(
        "gen_ai_client_token_usage_sum",
        llm.TOKENS,
        _MODEL,
        f'type=~"{types}"',
        (("gen_ai_token_type", kind),),
        remark="billed tokens, those of the prompt cache apart",
    )


CONTRIB = Peer(
    "opentelemetry-contrib",
    (
        Old(
            "http_server_request_duration_seconds",
            http.DURATION,
            _ROUTE,
            remark="by route, not by status: `http_requests_total` has that",
        ),
        Old("http_server_active_requests", http.IN_PROGRESS, _ROUTE[:1], remark="ours has the route"),
        Old("http_server_request_body_size_bytes", http.REQUEST_SIZE, _ROUTE, remark="by route, not by status"),
        Old("http_server_response_body_size_bytes", http.RESPONSE_SIZE, _ROUTE, remark="by route, not by status"),
        Old(
            "db_client_connections_usage",
            database.CONNECTIONS_ACTIVE,
            _POOL,
            constant=(("state", "used"),),
            remark="read from the pool, not added up",
        ),
        Old(
            "db_client_connections_usage",
            database.CONNECTIONS_IDLE,
            _POOL,
            constant=(("state", "idle"),),
            remark="read from the pool, not added up",
        ),
        Old(
            "flower_task_runtime_seconds",
            celery.RUNTIME,
            _TASK_OF_FLOWER,
            remark=f"by outcome; {_NO_WORKER}",
        ),
        Old("gen_ai_client_operation_duration_seconds", llm.DURATION, _MODEL),
        _tokens("input", "prompt|cached"),
        _tokens("output", "completion"),
    ),
    (
        Gone(
            "`http_server_duration_milliseconds` and what else the old semantic conventions have",
            "`http_target` and `net_host_port` are what clients send; `http_request_duration_seconds` is by route",
        ),
        Gone("`gen_ai_client_operation_time_per_output_chunk`", "a record for every chunk"),
    ),
)

PEERS = (INSTRUMENTATOR, STARLETTE_EXPORTER, CELERY_EXPORTER, FLOWER, CONTRIB)
