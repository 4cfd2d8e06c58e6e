"""Hooks a Celery application: publishing, the requests of a worker's main process, the end of its children."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from celery import Celery, signals

from telemetry import guard
from telemetry.instrumentation.celery import assumptions
from telemetry.instrumentation.celery.beat import MeasuredSchedule, watch_embedded
from telemetry.instrumentation.celery.levels import Levels
from telemetry.instrumentation.celery.polling import BrokerPoller
from telemetry.instrumentation.celery.publishing_date import date_message
from telemetry.instrumentation.celery.queues import QueueNames
from telemetry.instrumentation.celery.request import RequestClasses
from telemetry.instrumentation.celery.worker import MeasuredWorker, is_prefork, watch_pool
from telemetry.instrumentation.handle import ABSENT, Instrumentation, put_back
from telemetry.process import get

_HOOKS = "telemetry_hooks"  # on the application, so that they go when it goes
_publication: ContextVar[_Publication | None] = ContextVar("telemetry_publication", default=None)


class _Publication:
    """One call of ``send_task``: Celery's signals do not say which application publishes, nor how urgent it is."""

    __slots__ = ("app", "priority")

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.priority = "none"


def instrument_celery(app: Celery, *, found: bool = False) -> Instrumentation:
    """Measure the tasks, queues and workers of ``app``; a second call returns the handle of the first.

    Args:
        app: The application.
        found: Whether zero code asks, and not the program: then the broker of an application that Celery has made by
            itself is read only once it is used.
    """
    app = _application(app)
    hooks: _Hooks | None = vars(app).get(_HOOKS)
    if hooks is None:
        hooks = vars(app)[_HOOKS] = _Hooks(app)
        hooks.connect()
    hooks.asked_for(found=found)
    return hooks.handle


def handle_of(app: Celery) -> Instrumentation | None:
    """The handle of an application that is measured."""
    hooks: _Hooks | None = vars(_application(app)).get(_HOOKS)
    return None if hooks is None else hooks.handle


class _Hooks:
    """Receivers of Celery's signals for one application; signals are shared by all applications of a process."""

    def __init__(self, app: Celery) -> None:
        self.handle = Instrumentation("celery", self.disconnect)
        self._app = app
        self._queues = QueueNames(app)
        self._requests = RequestClasses(self._queues)
        self._poller = BrokerPoller(app, self._queues)
        self._workers: list[MeasuredWorker] = []
        self._schedules: list[MeasuredSchedule] = []
        self._declared: weakref.ref[Any] | None = None
        self._receivers: dict[Any, Callable[..., None]] = {
            signals.before_task_publish: self.publishes,
            signals.after_task_publish: self.published,
            signals.worker_init: self.worker_begins,
            signals.worker_shutdown: self.worker_ends,
            signals.worker_process_init: self.child_begins,
            signals.worker_process_shutdown: self.child_ends,
            signals.beat_init: self.beat_begins,
            signals.task_unknown: self.unknown,
            signals.task_rejected: self.refused,
        }

    def asked_for(self, *, found: bool) -> None:
        """Somebody wants it measured: the program, or zero code, which has found it."""
        self._poller.wait_for_use(wait=found)

    def connect(self) -> None:
        """Receive the signals, and let ``send_task`` (the one way to publish) say which application publishes."""
        assumptions.holds(assumptions.PUBLISHING, "submissions may not be counted")
        for signal, receiver in self._receivers.items():
            signal.connect(receiver, dispatch_uid=self._dispatch_uid(receiver))
        self._own_send_task = vars(self._app).get("send_task", ABSENT)
        self._send_task = _saying_who_publishes(self._app, self._own_send_task)
        self._app.send_task = self._send_task

    def disconnect(self) -> None:
        """Receive no signal any more, count no request of a worker that runs, and observe the broker no longer."""
        for signal, receiver in self._receivers.items():
            signal.disconnect(receiver, dispatch_uid=self._dispatch_uid(receiver))
        vars(self._app).pop(_HOOKS, None)
        put_back(self._app, "send_task", self._send_task, self._own_send_task)
        self._requests.restore(self._app)
        levels: list[Levels] = [*self._workers, *self._schedules]
        for each in levels:
            each.close()
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
            date_message(headers)
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

    def worker_begins(self, sender: Any, **_: Any) -> None:
        """A worker of any kind is made in this process; it has not forked, and not connected to the broker."""
        if _application(sender.app) is self._app:
            with guard.guarded("hooking a worker"):
                assumptions.holds(assumptions.REQUESTS, "outcomes of tasks that it tells of may not be counted")
                assumptions.holds(assumptions.WORKER, "what the worker holds, and its end, may not be seen")
                self._poller.worker_begins()
                self._requests.meter(self._app)
                sender.ready_callback = self._told_when_ready(sender.ready_callback)
                ended = [each for each in self._workers if each.has_ended()]
                for each in ended:
                    each.close()
                worker = MeasuredWorker(sender, self._own_tasks, self._queues.declared)
                self._workers = [*(each for each in self._workers if each not in ended), worker]
                self._poller.worker_set_up(str(sender.hostname), worker.has_ended, beats_from_loop=is_prefork(sender))
                if is_prefork(sender):
                    get().preload()

    def _told_when_ready(self, ready: Callable[[Any], None]) -> Callable[[Any], None]:
        hooks = weakref.ref(self)

        @functools.wraps(ready)
        def told(consumer: Any) -> None:
            known = hooks()
            if known is not None:
                known.worker_ready(consumer)
            ready(consumer)

        return told

    def worker_ready(self, consumer: Any) -> None:
        """The worker has forked and consumes."""
        with guard.guarded("observing the broker from a worker"):
            self._requests.meter_late(self._app, consumer)
            watch_pool(str(consumer.hostname), consumer, self.handle)
            self._poller.worker_ready()
            watch_embedded(consumer.controller)

    def worker_ends(self, sender: Any, **_: Any) -> None:
        if _application(sender.app) is self._app:
            with guard.guarded("ending the observation of a worker"):
                self._poller.stop()

    def beat_begins(self, sender: Any, **_: Any) -> None:
        if _application(sender.app) is self._app:
            with guard.guarded("watching the schedule of beat"):
                assumptions.holds(assumptions.BEAT, "how punctual beat is may not be seen")
                self._schedules.append(MeasuredSchedule(sender.scheduler))

    def child_begins(self, **_: Any) -> None:
        self._poller.pool_child()

    def child_ends(self, **_: Any) -> None:
        with guard.guarded("delivering the metrics of a pool process"):
            get().shutdown()

    def unknown(self, sender: Any, name: str, message: Any, **_: Any) -> None:
        """A worker got a task it does not know; Celery stores a failure."""
        if _application(sender.app) is self._app:
            with guard.guarded("counting an unknown task"):
                get().celery.unknown(self._queues.received_from(message.delivery_info))

    def refused(self, sender: Any, message: Any, **_: Any) -> None:
        """A worker got a message that it cannot understand."""
        if _application(sender.app) is self._app:
            with guard.guarded("counting a refused message"):
                name = (message.headers or {}).get("task")
                known = name if isinstance(name, str) and name in self._app.tasks else None
                get().celery.refused(known, self._queues.received_from(message.delivery_info))

    def _declare_submissions(self) -> None:
        if self._declared is None or self._declared() is not get():
            self._declared = weakref.ref(get())
            get().celery.declare_submissions(self._own_tasks(), self._queues.declared())

    def _own_tasks(self) -> list[str]:
        return [name for name in list(self._app.tasks) if not name.startswith("celery.")]


def _saying_who_publishes(app: Celery, before: Any) -> Callable[..., Any]:
    """``send_task`` of the application: what it has of its own, or what its class has when it is called."""

    @functools.wraps(type(app).send_task if before is ABSENT else before)
    def send_task(*args: Any, **kwargs: Any) -> Any:
        token = _publication.set(_Publication(app))
        try:
            return type(app).send_task(app, *args, **kwargs) if before is ABSENT else before(*args, **kwargs)
        finally:
            _publication.reset(token)

    return send_task


def _is_retry(body: Any, headers: Mapping[str, Any]) -> bool:
    in_body = body.get("retries") if isinstance(body, Mapping) else None  # task protocol 1
    return bool(headers.get("retries") or in_body)


def _application(app: Any) -> Celery:
    """The application behind a proxy, as ``celery.current_app`` is one."""
    found: Celery = getattr(app, "_get_current_object", lambda: app)()
    return found
