"""Celery metrics of the guide, section "Celery Task Metrics"; how they are measured is in ``domains/celery.py``."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from telemetry.catalogue._labels import NoLabels, Queue, TaskName
from telemetry.catalogue._spec import Budget, CounterSpec, FactSpec, HistogramSpec, LevelSpec


class TaskLabels(TypedDict):
    """Which task, through which queue."""

    task_name: TaskName
    queue: Queue


class DroppedLabels(TaskLabels):
    """Which task never got an outcome, and why."""

    reason: Literal["revoked", "expired", "terminated", "ignored", "rejected", "other"]


Outcome = Literal["completed", "failed", "retried", "dropped"]


class RuntimeLabels(TypedDict):
    """Which task, and how its run ended."""

    task_name: TaskName
    outcome: Outcome


class ScheduledLabels(TypedDict):
    """Which task of the beat schedule."""

    task_name: TaskName


class PriorityLabels(TypedDict):
    """Which queue, and how urgent."""

    queue: Queue
    priority: Annotated[str, Budget(20, "message priorities in use; `none` where a message has none")]


class ExceptionLabels(TypedDict):
    """Which task failed with what."""

    task_name: TaskName
    exception: Annotated[str, Budget(100, "exception classes that tasks fail with")]


class QueueLabels(TypedDict):
    """Which queue of the broker."""

    queue: Queue


class WorkerLabels(TypedDict):
    """Which worker node."""

    hostname: Annotated[str, Budget(500, "worker nodes seen within the last hour")]


class LostLabels(WorkerLabels):
    """Which worker node lost a process, and to what."""

    ended_by: Annotated[str, Budget(20, "signals and exit codes of pool processes")]


class BrokerLabels(TypedDict):
    """Which broker."""

    fingerprint: Annotated[str, Budget(20, "brokers that the process reads, one as a rule")]


class HeldLabels(WorkerLabels):
    """Which worker node holds tasks, and what they wait for."""

    state: Literal["active", "reserved", "scheduled"]


SUBMITTED = CounterSpec(
    name="celery_tasks_submitted_total",
    help="Tasks published to the broker; a retry or a redelivery is not a submission.",
    labels=TaskLabels,
    unit="{task}",
)
COMPLETED = CounterSpec(
    name="celery_tasks_completed_total",
    help="Tasks that ended successfully.",
    labels=TaskLabels,
    unit="{task}",
)
FAILED = CounterSpec(
    name="celery_tasks_failed_total",
    help="Tasks that ended with an error, a time limit or a lost process.",
    labels=TaskLabels,
    unit="{task}",
)
RETRIED = CounterSpec(
    name="celery_tasks_retried_total",
    help="Attempts of a task that ended by asking for a retry.",
    labels=TaskLabels,
    unit="{task}",
)
DURATION = HistogramSpec(
    name="celery_task_duration_seconds",
    help="Seconds a task ran, from the moment a pool process accepted it; completed and failed ones.",
    labels=TaskLabels,
    unit="s",
    buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0),
)
QUEUE_LENGTH = FactSpec(
    name="celery_queue_length",
    help="Tasks waiting in a queue of the broker, all priorities together.",
    labels=QueueLabels,
    unit="{task}",
)
ACTIVE_WORKERS = FactSpec(
    name="celery_active_workers",
    help="1 while the worker node's heartbeat is fresh, 0 when it is gone.",
    labels=WorkerLabels,
    unit="{worker}",
)
DROPPED = CounterSpec(
    name="celery_tasks_dropped_total",
    help="Tasks that left the system without an outcome, by reason.",
    labels=DroppedLabels,
    unit="{task}",
    documented=False,
)
PRIORITIES = CounterSpec(
    name="celery_tasks_by_priority_total",
    help="Tasks published to the broker, by the priority of their message.",
    labels=PriorityLabels,
    unit="{task}",
    documented=False,
)
EXCEPTIONS = CounterSpec(
    name="celery_task_exceptions_total",
    help="Failed tasks by the class of the exception, time limits and lost processes included.",
    labels=ExceptionLabels,
    unit="{task}",
    documented=False,
)
RUNTIME = HistogramSpec(
    name="celery_task_runtime_seconds",
    help="Seconds a run of a task took in the pool, by how it ended; retries and terminated runs included.",
    labels=RuntimeLabels,
    unit="s",
    buckets=DURATION.buckets,
    documented=False,
)
WAIT = HistogramSpec(
    name="celery_task_wait_seconds",
    help="Seconds from publishing (from the ETA, where there is one) until a pool process took the task.",
    labels=TaskLabels,
    unit="s",
    buckets=(0.01, 0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0),
    documented=False,
)
OLDEST = FactSpec(
    name="celery_queue_oldest_seconds",
    help="Age of the oldest task waiting in a queue; 0 when it is empty, absent when the task does not say.",
    labels=QueueLabels,
    unit="s",
    documented=False,
)
UNACKED = FactSpec(
    name="celery_unacked_messages",
    help="Messages that workers took from the broker and did not acknowledge yet.",
    labels=NoLabels,
    unit="{message}",
    documented=False,
)
BROKER = FactSpec(
    name="celery_broker_info",
    help="1 for the broker that queues and workers are read from; two fingerprints are two brokers that report as one.",
    labels=BrokerLabels,
    documented=False,
)
HELD = LevelSpec(
    name="celery_worker_tasks",
    help="Tasks a worker node holds: active (each keeps a process busy), fetched in advance, or waiting for an ETA.",
    labels=HeldLabels,
    unit="{task}",
    documented=False,
)
POOL_SIZE = LevelSpec(
    name="celery_worker_pool_size",
    help="Tasks a worker node can run at the same time.",
    labels=WorkerLabels,
    unit="{process}",
    documented=False,
)
PREFETCH = LevelSpec(
    name="celery_worker_prefetch_limit",
    help="Tasks a worker node may take from the broker without acknowledging them; 0 is no limit.",
    labels=WorkerLabels,
    unit="{task}",
    documented=False,
)
CONSUMERS = LevelSpec(
    name="celery_queue_consumers",
    help="Worker nodes that take tasks from a queue.",
    labels=QueueLabels,
    unit="{worker}",
    documented=False,
)
LOST = CounterSpec(
    name="celery_pool_processes_lost_total",
    help="Pool processes that were killed or crashed, by signal or exit code; hard time limits end them by SIGTERM.",
    labels=LostLabels,
    unit="{process}",
    documented=False,
)
BEAT_LAG = HistogramSpec(
    name="celery_beat_lag_seconds",
    help="Seconds from the moment a task of the schedule was due until beat published it.",
    labels=ScheduledLabels,
    unit="s",
    buckets=WAIT.buckets,
    documented=False,
)
BEAT_OVERDUE = LevelSpec(
    name="celery_beat_overdue_seconds",
    help="Seconds the next task of the schedule is due and not published; it grows while beat is stuck.",
    labels=NoLabels,
    unit="s",
    documented=False,
)
