"""What the hooks into Celery rely on beyond its documentation; each is checked when the hook that needs it is used."""

from __future__ import annotations

from importlib.metadata import version

from telemetry.instrumentation.assumptions import Assumption, check

PUBLISHING = (
    Assumption("celery:Celery", "send_task"),
    Assumption("celery.app.amqp:AMQP", "queues"),
)
REQUESTS = (
    *(
        Assumption("celery.worker.request:Request", name)
        for name in (
            "_announce_revoked",
            "acknowledged",
            "delivery_info",
            "eta",
            "on_accepted",
            "on_failure",
            "on_success",
            "on_timeout",
            "reject",
            "request_dict",
        )
    ),
    Assumption("celery.worker.request", "create_request_cls"),
    Assumption("celery.worker.state", "should_terminate"),
    Assumption("celery.app.task:Task", "Request"),
    Assumption("celery.app.task:Task", "start_strategy"),
    Assumption("billiard.einfo", "ExceptionWithTraceback"),
)
WORKER = (
    Assumption("celery.worker:WorkController", "on_consumer_ready"),
    Assumption("celery.worker.state", "active_requests"),
    Assumption("celery.worker.state", "reserved_requests"),
    Assumption("celery.bootsteps", "TERMINATE"),
    Assumption("celery.concurrency.base:BasePool", "num_processes"),
    Assumption("kombu:Consumer", "queues"),
)
POOL = (
    Assumption("billiard.pool", "EX_RECYCLE"),
    Assumption("billiard.pool", "RUN"),
)
BROKER = (
    Assumption("kombu.transport.virtual:Channel", "_size"),
    Assumption("celery.signals", "heartbeat_sent"),
    Assumption("celery._state", "default_app"),
    Assumption("celery.app.base:Celery", "set_as_current"),
)
BEAT = (
    Assumption("celery.beat:Scheduler", "apply_async"),
    Assumption("celery.beat:Scheduler", "populate_heap"),
)
ASSUMPTIONS = (*PUBLISHING, *REQUESTS, *WORKER, *POOL, *BROKER, *BEAT)


def holds(assumptions: tuple[Assumption, ...], consequence: str) -> bool:
    """Whether all of them hold in the installed version; what does not is said once, with its consequence."""
    return check(f"Celery {version('celery')}", assumptions, consequence)
