"""The dashboard "Celery Task Queue Monitoring": what waits, what runs, what fails, what it occupies."""

from __future__ import annotations

from typing import Any

from grafana.boards import promql
from grafana.boards.board import Board, Row
from grafana.boards.firing import firing
from grafana.boards.panels import PER_SECOND, Panel, bars, line, number
from grafana.boards.promql import RATE, fact, happened, increase, level, or_none, or_zero, quantile, rate, ratio, share
from grafana.boards.variables import choice
from telemetry.catalogue import CounterSpec, celery
from telemetry.looks import COUNT, GREEN, ORANGE, RED

_QUEUE = ('queue=~"$queue"',)


_LEAST_TASKS = 12  # of which one is 8 %, below the red of 10 %
_STEP = "75s"  # four of them are the window: five minutes, as the alert has


def _ended(metric: CounterSpec[Any], *labels: str) -> str:
    return increase(metric, *labels, where=_QUEUE, over=RATE)


def _failing(*labels: str, least: int) -> str:
    """Share of failed among ended tasks, where enough ended to say one."""
    completed, failed = _ended(celery.COMPLETED, *labels), _ended(celery.FAILED, *labels)
    some_failed = f"({or_zero(failed, completed)})"
    return share(some_failed, f"({or_zero(completed, failed)}) + {some_failed}", least)


def _failed(*labels: str) -> str:
    return or_zero(rate(celery.FAILED, *labels, where=_QUEUE), rate(celery.COMPLETED, *labels, where=_QUEUE))


def _now() -> tuple[Panel, ...]:
    workers = f"sum {promql.by()} ({fact(celery.ACTIVE_WORKERS, 'hostname')})"
    return (
        number(
            "Active workers",
            COUNT,
            "Worker nodes whose heartbeat is fresh. None: nothing is processed; start some, then see why they ended.",
            {"{{environment}}": or_zero(workers, rate(celery.SUBMITTED))},
            alerts=("NoActiveWorkers", "WorkersMissing"),
            base=RED,
            steps=((1, GREEN),),
            width=4,
        ),
        number(
            "Tasks waiting",
            COUNT,
            "Tasks in the broker that no worker has taken. Growing: add workers, or see what slows them (row Product).",
            {"{{environment}}": fact(celery.QUEUE_LENGTH, where=_QUEUE)},
            alerts=("QueueBacklog", "QueueStalled", "QueueNotConsumed"),
            steps=((100, RED),),
            width=4,
        ),
        number(
            "Failing now",
            "percentunit",
            "Failed among ended tasks. Above 10 %: look at the exceptions below, then at the log of that task. Nothing"
            f" where fewer than {_LEAST_TASKS} ended within five minutes.",
            {"{{environment}}": _failing(least=_LEAST_TASKS)},
            alerts=("HighTaskFailureRate", "TaskSuccessBurnsFast", "TaskSuccessBurnsSlowly"),
            steps=((0.05, ORANGE), (0.1, RED)),
            step=_STEP,
            width=4,
        ),
        number(
            "Oldest waiting task",
            "s",
            "Age of the oldest task in any queue. Old while workers are active: its queue has no consumer.",
            {"{{environment}}": f"max {promql.by()} ({fact(celery.OLDEST, 'queue', where=_QUEUE)})"},
            alerts=("QueueStalled",),
            steps=((60, ORANGE), (600, RED)),
            width=4,
        ),
        firing(),
    )


def _queues() -> tuple[Panel, ...]:
    return (
        line(
            "Queue lengths and backlog",
            COUNT,
            "Tasks waiting by queue, all priorities together. Over 100 for 10 minutes: see the runbook.",
            {"{{queue}} · {{environment}}": fact(celery.QUEUE_LENGTH, "queue", where=_QUEUE)},
            alerts=("QueueBacklog", "QueueStalled", "QueueNotConsumed"),
            steps=((100, RED),),
        ),
        line(
            "Oldest waiting task by queue",
            "s",
            "How long the head of each queue waits. A rising line is a queue that nobody serves.",
            {"{{queue}} · {{environment}}": fact(celery.OLDEST, "queue", where=_QUEUE)},
            alerts=("QueueStalled",),
            up_to=10,
        ),
        line(
            "Active workers by node",
            COUNT,
            "1 while the heartbeat is fresh, 0 for an hour after the node is gone. Restart a node that fell to 0.",
            {"{{hostname}} · {{environment}}": fact(celery.ACTIVE_WORKERS, "hostname")},
            alerts=("NoActiveWorkers", "WorkersMissing"),
        ),
        line(
            "Tasks held by workers",
            COUNT,
            "Running, fetched in advance (reserved) and waiting for their time (scheduled). Many reserved while other"
            " nodes idle: lower worker_prefetch_multiplier.",
            {"{{state}} · {{environment}}": level(celery.HELD, "state")},
            stacked=True,
        ),
        line(
            "Busy share of the pool",
            "percentunit",
            "Running tasks divided by what the pools can run at once. Near 100 % with a backlog: add workers.",
            {
                "{{environment}}": ratio(
                    level(celery.HELD, where=('state="active"',)),
                    level(celery.POOL_SIZE),
                )
            },
            steps=((0.9, ORANGE),),
            up_to=1,
        ),
        line(
            "Taken and not acknowledged",
            COUNT,
            "Messages workers hold. Not falling while nothing runs: a worker died; the broker redelivers them later.",
            {"{{environment}}": fact(celery.UNACKED)},
        ),
        bars(
            "Pool processes lost",
            COUNT,
            "Processes that were killed or crashed in the time range. SIGKILL: out of memory, as a rule.",
            {
                "{{ended_by}} {{hostname}} · {{environment}}": or_none(
                    increase(celery.LOST, "hostname", "ended_by"),
                    "ended_by",
                    f"sum {promql.by()} ({fact(celery.ACTIVE_WORKERS, 'hostname')})",
                )
            },
            alerts=("PoolProcessesLost",),
            base=GREEN,
            steps=((1, ORANGE), (10, RED)),
            width=12,
        ),
        line(
            "Beat overdue",
            "s",
            "How long the next task of the schedule is due. Rising: beat is stuck; no line: no beat runs.",
            {"{{environment}}": level(celery.BEAT_OVERDUE)},
            alerts=("BeatOverdue", "BeatGone"),
            steps=((60, RED),),
            up_to=10,
            width=12,
        ),
    )


def _tasks() -> tuple[Panel, ...]:
    return (
        line(
            "Tasks submitted by queue",
            PER_SECOND,
            "Tasks published a second, retries not counted. A fall to 0 with traffic at the door: publishing fails.",
            {"{{queue}} · {{environment}}": rate(celery.SUBMITTED, "queue", where=_QUEUE)},
        ),
        line(
            "Tasks completed and failed",
            PER_SECOND,
            "How tasks end, a second. Completed below submitted for long: the queues grow.",
            {
                "completed {{queue}} · {{environment}}": rate(celery.COMPLETED, "queue", where=_QUEUE),
                "failed {{queue}} · {{environment}}": _failed("queue"),
            },
            alerts=("HighTaskFailureRate",),
        ),
        line(
            "Failure rate by task",
            "percentunit",
            "Failed among ended tasks of a kind, of few as well. Above 10 % for 5 minutes an alert fires.",
            {"{{task_name}} · {{environment}}": _failing("task_name", least=1)},
            alerts=("HighTaskFailureRate", "TaskAlwaysFails"),
            steps=((0.1, RED),),
            up_to=0.2,
            step=_STEP,
        ),
        line(
            "Retries by queue",
            PER_SECOND,
            "Attempts that asked for another one. Many: a dependency is slow or refuses; look at LLM errors first.",
            {
                "{{queue}} · {{environment}}": or_zero(
                    rate(celery.RETRIED, "queue", where=_QUEUE), rate(celery.SUBMITTED, "queue", where=_QUEUE)
                )
            },
        ),
        bars(
            "Exceptions of failed tasks",
            COUNT,
            "What tasks failed with in the time range, all queues. The longest bar is where to begin.",
            {
                "{{exception}} {{task_name}} · {{environment}}": or_none(
                    increase(celery.EXCEPTIONS, "task_name", "exception"), "exception", rate(celery.COMPLETED)
                )
            },
            alerts=("HighTaskFailureRate", "TaskAlwaysFails"),
            base=GREEN,
            steps=((1, ORANGE), (10, RED)),
        ),
        line(
            "Tasks without an outcome",
            PER_SECOND,
            "Revoked, expired, terminated, ignored or rejected tasks. Expired ones waited too long: add workers.",
            {
                "{{queue}} · {{environment}}": or_zero(
                    rate(celery.DROPPED, "queue", where=_QUEUE), rate(celery.SUBMITTED, "queue", where=_QUEUE)
                )
            },
            alerts=("TasksNeverRan",),
        ),
    )


def _waiting() -> tuple[Panel, ...]:
    return (
        line(
            "Task duration percentiles",
            "s",
            "Seconds in the pool, without waiting. P99 far from P50: a few slow inputs; all rising: a slow dependency.",
            {
                f"P{percentile * 100:g} {{{{queue}}}} · {{{{environment}}}}": quantile(
                    percentile, celery.DURATION, "queue", where=_QUEUE
                )
                for percentile in (0.5, 0.95, 0.99)
            },
        ),
        line(
            "Task duration, P95 by task",
            "s",
            "Which kind of task is slow.",
            {"{{task_name}} · {{environment}}": quantile(0.95, celery.DURATION, "task_name", where=_QUEUE)},
        ),
        line(
            "Wait before start, P95 by queue",
            "s",
            "What users wait before their task begins. High on one queue alone: give it workers of its own.",
            {"{{queue}} · {{environment}}": quantile(0.95, celery.WAIT, "queue", where=_QUEUE)},
        ),
        line(
            "Priority distribution by queue",
            "percentunit",
            "Share of each queue in all submissions. A shift to `high` is a change of customers, or of the routing.",
            {
                "{{queue}} · {{environment}}": f"{rate(celery.SUBMITTED, 'queue')} / {promql.on()} group_left () "
                f"({rate(celery.SUBMITTED)} > 0)"
            },
            width=12,
            up_to=1,
        ),
        bars(
            "Priority distribution by message priority",
            COUNT,
            "Tasks published in the time range by queue and message priority; `none` where a message has none.",
            {
                "{{queue}} / {{priority}} · {{environment}}": happened(
                    increase(celery.PRIORITIES, "queue", "priority", where=_QUEUE)
                )
            },
            width=12,
        ),
    )


def _time() -> tuple[Panel, ...]:
    return (
        bars(
            "Worker time by task",
            "s",
            "Seconds of worker time each task took in the time range: what a faster task would save.",
            {
                "{{task_name}} · {{environment}}": happened(
                    promql.seconds_spent(celery.DURATION, "task_name", where=_QUEUE)
                )
            },
            width=12,
        ),
        line(
            "Workers occupied by queue",
            COUNT,
            "Pool processes at work on average. The sum over queues is the smallest pool that keeps up.",
            {"{{queue}} · {{environment}}": promql.seconds(celery.DURATION, "queue", where=_QUEUE)},
            stacked=True,
            width=12,
        ),
    )


BOARD = Board(
    uid="celery-monitoring",
    title="Celery Task Queue Monitoring",
    description="What waits, what runs, what fails in the task queues, and what it occupies.",
    variables=(choice("queue", "Queue", celery.SUBMITTED.name),),
    rows=(
        Row("DevOps: now", _now()),
        Row("DevOps: queues and workers", _queues()),
        Row("DevOps: tasks", _tasks()),
        Row("Product: what users wait for", _waiting(), closed=True),
        Row("Finance: what tasks occupy", _time(), closed=True),
    ),
)
