"""Hooks a Celery application: publishing, the requests of a worker's main process, the end of its children."""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Mapping
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery import Celery, signals
from celery.exceptions import Ignore, Reject, Retry, Terminated
from kombu.utils.imports import symbol_by_name

from telemetry import guard
from telemetry.domains.celery import CeleryRecorder
from telemetry.instrumentation._celery_broker import BrokerObserver
from telemetry.setup import get

DEFAULT_QUEUE = "unknown"
_instrumented: weakref.WeakSet[Celery] = weakref.WeakSet()


def instrument_celery(app: Celery) -> None:
    """Measure the tasks, queues and workers of ``app``; a second call does nothing."""
    if app in _instrumented:
        return
    _instrumented.add(app)
    hooks = _Hooks(app)
    signals.after_task_publish.connect(hooks.published, weak=False)
    signals.task_revoked.connect(hooks.revoked, weak=False)
    signals.celeryd_after_setup.connect(hooks.worker_set_up, weak=False)
    signals.worker_process_shutdown.connect(hooks.child_ends, weak=False)
    signals.worker_shutdown.connect(hooks.worker_ends, weak=False)
    signals.heartbeat_sent.connect(hooks.heartbeat_sent, weak=False)


class _Hooks:
    """Receivers of Celery's signals for one application."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._observer = BrokerObserver(app)
        get().on_collect(self._observer.ensure_running)

    def published(self, sender: str, headers: Mapping[str, Any], exchange: str, routing_key: str, **_: Any) -> None:
        with guard.guarded("counting a published task"):
            if not headers.get("retries"):
                get().celery.submitted(sender, queue_name(self._app, exchange, routing_key))

    def revoked(self, sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:
        with guard.guarded("counting a revoked task"):
            reason = "expired" if expired else "terminated" if terminated else "revoked"
            get().celery.dropped(sender.name, _queue_of(self._app, request.delivery_info), reason)

    def worker_set_up(self, sender: str, instance: Any, **_: Any) -> None:
        with guard.guarded("hooking the requests of a worker"):
            self._app.Task.Request = metered(self._app, self._app.Task.Request)
            for task in self._app.tasks.values():
                task.Request = metered(self._app, task.Request)
            own = [name for name in self._app.tasks if not name.startswith("celery.")]
            get().celery.declare(own, list(self._app.amqp.queues))
            self._observer.worker_started(sender)

    def heartbeat_sent(self, **_: Any) -> None:
        self._observer.worker_alive()

    def child_ends(self, **_: Any) -> None:
        with guard.guarded("delivering the metrics of a pool process"):
            get().shutdown()

    def worker_ends(self, **_: Any) -> None:
        with guard.guarded("ending the observation of a worker"):
            self._observer.worker_stopped()


def queue_name(app: Celery, exchange: str | None, routing_key: str | None) -> str:
    """The queue that the broker puts a message in, by the application's own declarations."""
    for name, queue in app.amqp.queues.items():
        same_exchange = (queue.exchange.name if queue.exchange else "") == (exchange or "")
        if same_exchange and queue.routing_key == routing_key:
            return str(name)
    return routing_key or DEFAULT_QUEUE


def _queue_of(app: Celery, delivery_info: Mapping[str, Any] | None) -> str:
    info = delivery_info or {}
    return queue_name(app, info.get("exchange"), info.get("routing_key"))


@functools.cache
def metered(app: Celery, base: type | str) -> type:
    """``base`` (a Celery ``Request`` class or its import path) whose outcomes are counted."""
    base_class: type = symbol_by_name(base)  # type: ignore[no-untyped-call]
    if issubclass(base_class, MeteredRequest):
        return base_class
    return type("MeteredRequest", (MeteredRequest, base_class), {"metered_app": app})


class MeteredRequest:
    """Mixed into a worker's ``Request``: counts each task's outcome once, in the process that owns the pool.

    What happens to the task is decided by Celery; this class only watches which of its own methods Celery called
    (requeued, retried after a lost process, already successful) and counts afterwards. It never raises.
    """

    metered_app: Celery
    on_success: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._accepted_at: float | None = None
        self._counted = False
        self._requeued = False
        self._retried_after_loss = False
        self._succeeded_before_loss = False
        # Celery's worker replaces on_success in a subclass of this one, so the instance is wrapped.
        self.on_success = functools.partial(self._on_success, self.on_success)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """A pool process took the task."""
        self._accepted_at = time_accepted
        super().on_accepted(pid, time_accepted)  # type: ignore[misc]

    def _on_success(self, on_success: Any, failed__retval__runtime: Any, **kwargs: Any) -> Any:
        failed, _, runtime = failed__retval__runtime
        if not failed:
            with guard.guarded("counting a completed task"):
                self._count("completed", float(runtime))
        return on_success(failed__retval__runtime, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """The soft or hard time limit passed; the soft one arrives as an exception of the task as well."""
        super().on_timeout(soft, timeout)  # type: ignore[misc]
        if not soft and not self._requeued:
            with guard.guarded("counting a timed out task"):
                self._count("failed", self._seconds())

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """The task raised, or its process was lost."""
        try:
            return super().on_failure(exc_info, *args, **kwargs)  # type: ignore[misc]
        finally:
            with guard.guarded("counting a failed task"):
                self._count_failure(_exception_of(exc_info))

    def reject(self, requeue: bool = False) -> Any:
        """The message goes back to the broker or away."""
        self._requeued = self._requeued or requeue
        return super().reject(requeue=requeue)  # type: ignore[misc]

    def _retry_worker_lost(self, *args: Any) -> bool:
        self._retried_after_loss = bool(super()._retry_worker_lost(*args))  # type: ignore[misc]
        return self._retried_after_loss

    def _success_was_stored(self) -> Any:
        stored = super()._success_was_stored()  # type: ignore[misc]
        self._succeeded_before_loss = bool(stored)
        return stored

    def _count_failure(self, error: BaseException) -> None:
        if isinstance(error, Terminated) or self._is_revoked():
            return  # counted by task_revoked
        if isinstance(error, Retry) or self._retried_after_loss:
            self._recorder().retried(*self._labels())
        elif self._requeued:
            return  # it comes back
        elif self._succeeded_before_loss:
            self._count("completed", None)
        elif isinstance(error, Ignore | Reject):
            reason = "rejected" if isinstance(error, Reject) else "ignored"
            self._recorder().dropped(*self._labels(), reason)
        else:
            self._count("failed", self._seconds())

    def _count(self, outcome: str, seconds: float | None) -> None:
        if not self._counted:
            self._counted = True
            getattr(self._recorder(), outcome)(*self._labels(), seconds)

    def _is_revoked(self) -> bool:
        return bool(getattr(self, "_already_revoked", False) or getattr(self, "_already_cancelled", False))

    def _seconds(self) -> float | None:
        return None if self._accepted_at is None else max(0.0, time.monotonic() - self._accepted_at)

    def _labels(self) -> tuple[str, str]:
        return str(self._type), _queue_of(self.metered_app, self.delivery_info)  # type: ignore[attr-defined]

    def _recorder(self) -> CeleryRecorder:
        return get().celery


def _exception_of(exc_info: Any) -> BaseException:
    error: BaseException = exc_info.exception
    return error.exc if isinstance(error, ExceptionWithTraceback) else error
