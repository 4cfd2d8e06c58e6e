"""Hooks a Celery application: publishing, the requests of a worker's main process, the end of its children."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from celery import Celery, signals

from telemetry import guard
from telemetry.instrumentation.celery.beat import measure_beat
from telemetry.instrumentation.celery.polling import BrokerPoller
from telemetry.instrumentation.celery.queues import QueueNames
from telemetry.instrumentation.celery.request import PUBLISHED_AT, metered
from telemetry.instrumentation.celery.worker import is_prefork, measure_worker, watch_pool
from telemetry.process import get

_instrumented: dict[Celery, _Hooks] = {}
_publication: ContextVar[_Publication | None] = ContextVar("telemetry_publication", default=None)


class _Publication:
    """One call of ``send_task``: Celery's signals do not say which application publishes, nor how urgent it is."""

    __slots__ = ("app", "priority")

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.priority = "none"


def instrument_celery(app: Celery) -> None:
    """Measure the tasks, queues and workers of ``app``; a second call does nothing."""
    if app not in _instrumented:
        _instrumented[app] = _Hooks(app)
        _instrumented[app].connect()


def uninstrument_celery(app: Celery) -> None:
    """Count no submission of ``app`` and observe its broker no longer; a worker that runs stays measured."""
    hooks = _instrumented.pop(app, None)
    if hooks is not None:
        hooks.disconnect()


class _Hooks:
    """Receivers of Celery's signals for one application; signals are shared by all applications of a process."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._queues = QueueNames(app)
        self._poller = BrokerPoller(app, self._queues)
        self._collected_by: object | None = None
        self._declared = False
        self._receivers: dict[Any, Any] = {
            signals.before_task_publish: self.publishes,
            signals.after_task_publish: self.published,
            signals.celeryd_init: self.worker_begins,
            signals.celeryd_after_setup: self.worker_set_up,
            signals.worker_ready: self.worker_ready,
            signals.worker_shutdown: self.worker_ends,
            signals.worker_process_init: self.child_begins,
            signals.worker_process_shutdown: self.child_ends,
            signals.beat_init: self.beat_begins,
            signals.task_unknown: self.unknown,
            signals.task_rejected: self.refused,
        }

    def connect(self) -> None:
        """Receive the signals, and let ``send_task`` (the one way to publish) say which application publishes."""
        for signal, receiver in self._receivers.items():
            signal.connect(receiver, weak=False, dispatch_uid=self._dispatch_uid(receiver))
        self._app.send_task = functools.wraps(type(self._app).send_task)(functools.partial(_send_task, self._app))
        self._observe_at_collections()

    def disconnect(self) -> None:
        """Receive no signal any more."""
        for signal, receiver in self._receivers.items():
            signal.disconnect(receiver, dispatch_uid=self._dispatch_uid(receiver))
        vars(self._app).pop("send_task", None)
        self._poller.stop()

    def _dispatch_uid(self, receiver: Any) -> str:
        """Celery before 5.5 takes the same method of two objects for one receiver."""
        return f"telemetry-{id(self)}-{receiver.__name__}"

    def publishes(self, headers: dict[str, Any], properties: Mapping[str, Any], **_: Any) -> None:
        """A message is about to go out: it carries when, and says how urgent it is."""
        publication = _publication.get()
        if publication is None or publication.app is not self._app:
            return
        with guard.guarded("dating a task"):
            headers[PUBLISHED_AT] = time.time()
            priority = properties.get("priority")
            publication.priority = "none" if priority is None else str(priority)

    def published(
        self, sender: str, body: Any, headers: Mapping[str, Any], exchange: Any, routing_key: str, **_: Any
    ) -> None:
        """The broker took a message."""
        publication = _publication.get()
        if publication is None or publication.app is not self._app:
            return
        with guard.guarded("counting a published task"):
            self._poller.published()
            if not _is_retry(body, headers):
                self._declare_submissions()
                for queue in self._queues.published_to(exchange, routing_key):
                    get().celery.submitted(str(sender), queue, publication.priority)

    def worker_begins(self, instance: Any, **_: Any) -> None:
        if _same(instance.app, self._app):
            self._poller.worker_begins()

    def worker_set_up(self, sender: str, instance: Any, **_: Any) -> None:
        if not _same(instance.app, self._app):
            return
        with guard.guarded("hooking the requests of a worker"):
            self._observe_at_collections()
            self._meter_requests()
            get().celery.declare(self._own_tasks(), self._queues.declared())
            measure_worker(str(sender), instance)
            self._poller.worker_set_up(str(sender), beats_from_loop=is_prefork(instance))

    def worker_ready(self, sender: Any, **_: Any) -> None:
        if _same(sender.app, self._app):
            with guard.guarded("observing the broker from a worker"):
                self._meter_late_tasks(sender)
                watch_pool(str(sender.hostname), sender)
                self._poller.worker_ready()

    def worker_ends(self, sender: Any, **_: Any) -> None:
        if _same(sender.app, self._app):
            with guard.guarded("ending the observation of a worker"):
                self._poller.stop()

    def beat_begins(self, sender: Any, **_: Any) -> None:
        if _same(sender.app, self._app):
            with guard.guarded("watching the schedule of beat"):
                measure_beat(sender.scheduler)

    def child_begins(self, **_: Any) -> None:
        self._poller.pool_child()

    def child_ends(self, **_: Any) -> None:
        with guard.guarded("delivering the metrics of a pool process"):
            get().shutdown()

    def unknown(self, sender: Any, name: str, message: Any, **_: Any) -> None:
        """A worker got a task it does not know; Celery stores a failure."""
        if _same(sender.app, self._app):
            with guard.guarded("counting an unknown task"):
                get().celery.unknown(str(name), self._queues.received_from(message.delivery_info))

    def refused(self, sender: Any, message: Any, **_: Any) -> None:
        """A worker got a message that it cannot understand."""
        if _same(sender.app, self._app):
            with guard.guarded("counting a refused message"):
                name = str((message.headers or {}).get("task") or "unknown")
                get().celery.refused(name, self._queues.received_from(message.delivery_info))

    def _observe_at_collections(self) -> None:
        if self._collected_by is not get():
            self._collected_by = get()
            self._collected_by.on_collect(self._collecting)

    def _collecting(self) -> None:
        self._poller.ensure_running()

    def _meter_requests(self) -> None:
        self._app.Task.Request = metered(self._app.Task.Request, self._queues)
        for task in list(self._app.tasks.values()):
            task.Request = metered(task.Request, self._queues)

    def _meter_late_tasks(self, consumer: Any) -> None:
        """Tasks registered while the worker started, whose class brings a ``Request`` of its own."""
        for name, task in list(self._app.tasks.items()):
            request = metered(task.Request, self._queues)
            if request is not task.Request:
                task.Request = request
                consumer.strategies[name] = task.start_strategy(self._app, consumer)

    def _declare_submissions(self) -> None:
        if not self._declared:
            self._declared = True
            get().celery.declare_submissions(self._own_tasks(), self._queues.declared())

    def _own_tasks(self) -> list[str]:
        return [name for name in list(self._app.tasks) if not name.startswith("celery.")]


def _send_task(app: Celery, *args: Any, **kwargs: Any) -> Any:
    token = _publication.set(_Publication(app))
    try:
        return type(app).send_task(app, *args, **kwargs)
    finally:
        _publication.reset(token)


def _is_retry(body: Any, headers: Mapping[str, Any]) -> bool:
    in_body = body.get("retries") if isinstance(body, Mapping) else None  # task protocol 1
    return bool(headers.get("retries") or in_body)


def _same(app: Any, own: Celery) -> bool:
    """Celery hands out proxies of the current application as well."""
    return getattr(app, "_get_current_object", lambda: app)() is own
