"""Counts each task's outcome once, in the process that owns the pool; what happens to the task is decided by Celery."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery import Celery
from celery.exceptions import Ignore, Reject, Retry, Terminated, WorkerLostError
from celery.worker import state
from kombu.utils.imports import symbol_by_name

from telemetry import guard
from telemetry.domains.celery_task import TaskSeries
from telemetry.instrumentation.celery import trace
from telemetry.instrumentation.celery.publishing_date import published_at
from telemetry.instrumentation.celery.queues import QueueNames
from telemetry.process import get

_LOST_WITH_POOL = (WorkerLostError, Terminated, SystemExit)


class RequestClasses:
    """The classes of one application's requests, each with its outcomes counted.

    Args:
        queues: The queues of the application.
    """

    def __init__(self, queues: QueueNames) -> None:
        self._queues = queues
        self._made: dict[type | str, type[MeteredRequest]] = {}

    def meter(self, app: Celery) -> None:
        """Count the outcomes of the tasks that the application has and gets."""
        app.Task.Request = self._metered(app.Task.Request)
        for task in list(app.tasks.values()):
            task.Request = self._metered(task.Request)

    def meter_late(self, app: Celery, consumer: Any) -> None:
        """Tasks registered while the worker started, whose class brings a ``Request`` of its own."""
        for name, task in list(app.tasks.items()):
            request = self._metered(task.Request)
            if request is not task.Request:
                task.Request = request
                consumer.strategies[name] = task.start_strategy(app, consumer)

    def restore(self, app: Celery) -> None:
        """Give the tasks their own classes back; requests that a worker has already received are not counted."""
        bases = {made: base for base, made in self._made.items() if base is not made}
        for task in (app.Task, *app.tasks.values()) if bases else ():
            task.Request = bases.get(task.Request, task.Request)
        for made in bases:
            made.is_metered = False

    def _metered(self, base: type | str) -> type:
        """``base`` (a Celery ``Request`` class or its import path) whose outcomes are counted."""
        made = self._made.get(base)
        if made is None:
            made = self._made[base] = self._make(symbol_by_name(base))  # type: ignore[no-untyped-call]
        return made

    def _make(self, base: type) -> type[MeteredRequest]:
        if issubclass(base, MeteredRequest):
            return base
        return type("MeteredRequest", (MeteredRequest, base), {"metered_queues": self._queues})


def _counting(on_success: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(on_success)
    def counted(self: MeteredRequest, failed__retval__runtime: Any, **kwargs: Any) -> Any:
        try:
            self.count_success(failed__retval__runtime)
        except Exception as error:
            guard.swallow(error, "counting a completed task")
        return on_success(self, failed__retval__runtime, **kwargs)

    return counted


class MeteredRequest:
    """Mixed into a worker's ``Request``: watches which of its own methods Celery calls, counts, and never raises.

    A run that gave its message back to the broker has no outcome yet: the run after it counts. Of several events that
    could end one run (a task that completes while it is being terminated) the first one counts.
    """

    metered_queues: QueueNames
    is_metered = True
    _accepted_at: float | None = None
    _task_series: TaskSeries | None = None
    _ended = False
    _requeued = False
    _retried_after_loss = False
    _succeeded_before_loss = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Count in ``on_success`` of the class that Celery derives for each task: it does not call ours."""
        super().__init_subclass__(**kwargs)
        if "on_success" in vars(cls):
            cls.on_success = _counting(vars(cls)["on_success"])  # type: ignore[attr-defined]

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """A pool process took the task."""
        self._accepted_at = time_accepted
        try:
            self._record_wait()
        except Exception as error:
            guard.swallow(error, "timing the wait of a task")
        super().on_accepted(pid, time_accepted)  # type: ignore[misc]

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """The soft or hard time limit passed; the soft one arrives as an exception of the task as well."""
        try:
            super().on_timeout(soft, timeout)  # type: ignore[misc]
        finally:
            with guard.guarded("counting a timed out task"):
                if not soft and not self._requeued:
                    self._end_failed("TimeLimitExceeded")

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """The task raised, or its process was lost."""
        try:
            return super().on_failure(exc_info, *args, **kwargs)  # type: ignore[misc]
        finally:
            with guard.guarded("counting a failed task"):
                self._count_failure(_exception_of(exc_info))

    def reject(self, requeue: bool = False) -> Any:
        """The message goes back to the broker, or away; neither where it was acknowledged before."""
        unacknowledged = not self.acknowledged  # type: ignore[attr-defined]
        try:
            return super().reject(requeue=requeue)  # type: ignore[misc]
        finally:
            with guard.guarded("counting a rejected task"):
                self._requeued = self._requeued or (requeue and unacknowledged)
                if not requeue and self._accepted_at is None:
                    self._end_failed("Reject")  # Celery could not even schedule it

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        with guard.guarded("counting a revoked task"):
            self._end_dropped("expired" if expired else "terminated" if terminated else "revoked")
        super()._announce_revoked(reason, terminated, signum, expired)  # type: ignore[misc]

    def _announce_cancelled(self, *args: Any, **kwargs: Any) -> None:
        """A cold shutdown or a lost connection ended the run; a message that is not acknowledged comes back."""
        with guard.guarded("counting a cancelled task"):
            self.count_lost_with_pool()
        super()._announce_cancelled(*args, **kwargs)  # type: ignore[misc]

    def _retry_worker_lost(self, *args: Any) -> bool:
        self._retried_after_loss = bool(super()._retry_worker_lost(*args))  # type: ignore[misc]
        return self._retried_after_loss

    def _success_was_stored(self) -> Any:
        stored = super()._success_was_stored()  # type: ignore[misc]
        self._succeeded_before_loss = bool(stored)
        return stored

    def count_success(self, failed__retval__runtime: Any) -> None:
        """Count a result of the pool unless it is a failure, which reaches ``on_failure`` as well."""
        try:
            failed, _, runtime = failed__retval__runtime
        except (TypeError, ValueError):
            self._end_failed(
                "WorkerLostError"
            )  # a thread pool hands over a bare exception where the task raised SystemExit
            return
        # A redelivered task that Celery did not run, because it had succeeded, has no runtime: it was counted then.
        if not failed and runtime is not None:
            self._end_completed(runtime)

    def count_lost_with_pool(self) -> None:
        """Count a run that a cold shutdown ended; a message that is not acknowledged comes back."""
        if self.acknowledged:  # type: ignore[attr-defined]
            self._end_dropped("terminated")
        self._requeued = True

    def _count_failure(self, error: BaseException) -> None:
        if isinstance(error, Retry) or self._retried_after_loss:
            self._end_retried()
        elif self._requeued:
            return
        elif self._succeeded_before_loss:
            self._end_completed(None)
        elif isinstance(error, _LOST_WITH_POOL) and state.should_terminate not in {None, False}:
            self.count_lost_with_pool()
        elif isinstance(error, Ignore):
            self._end_dropped("ignored")
        elif isinstance(error, Reject) and error.requeue:
            self._end_dropped("rejected")  # acknowledged before it ran: it does not come back
        else:
            self._end_failed(getattr(error, "exc_cls_name", type(error).__name__))

    def _record_wait(self) -> None:
        """From the ETA where it is later; a redelivered message waited before as well, and is left out."""
        published = published_at(self.request_dict)  # type: ignore[attr-defined]
        if self.is_metered and published is not None and not self.delivery_info.get("redelivered"):  # type: ignore[attr-defined]
            eta = self.eta  # type: ignore[attr-defined]
            could_start = published if eta is None else max(published, eta.timestamp())
            with self._trace():
                self._series().waited(time.time() - could_start)

    def _end_completed(self, seconds: float | None) -> None:
        if self._is_first_end():
            with self._trace():
                self._series().completed(seconds)

    def _end_failed(self, exception: str) -> None:
        if self._is_first_end():
            with self._trace():
                self._series().failed(self._seconds(), exception)

    def _end_retried(self) -> None:
        if self._is_first_end():
            with self._trace():
                self._series().retried(self._seconds())

    def _end_dropped(self, reason: str) -> None:
        if self._is_first_end():
            with self._trace():
                self._series().dropped(self._seconds(), reason)

    def _is_first_end(self) -> bool:
        first, self._ended = self.is_metered and not self._ended, True
        return first

    def _seconds(self) -> float | None:
        return None if self._accepted_at is None else max(0.0, time.monotonic() - self._accepted_at)

    def _trace(self) -> AbstractContextManager[None]:
        return trace.of(self.request_dict)  # type: ignore[attr-defined]

    def _series(self) -> TaskSeries:
        series = self._task_series
        if series is None:
            queue = self.metered_queues.received_from(self.delivery_info)  # type: ignore[attr-defined]
            series = self._task_series = get().celery.task(self._type, queue)  # type: ignore[attr-defined]
        return series


def _exception_of(exc_info: Any) -> BaseException:
    error: BaseException = exc_info.exception
    return error.exc if isinstance(error, ExceptionWithTraceback) else error
