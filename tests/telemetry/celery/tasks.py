"""The application that the workers of these tests run: a task for each way a task can end."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

import redis
from celery import Celery
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.signals import worker_init
from opentelemetry import metrics

import telemetry
from tests.support import chat

app = Celery("tasks", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.update(json.loads(os.environ.get("CELERY_CONF", "{}")))
telemetry.configure("test-worker", catalogue=chat)
telemetry.instrument_celery(app)
if os.environ.get("BREAK_TELEMETRY"):
    for verb in ("task", "submitted"):
        setattr(telemetry.get().celery, verb, None)  # calling it raises
own_events = metrics.get_meter("own").create_counter("own_events_total")
flags = redis.Redis.from_url(os.environ["BACKEND"], db=5)


def is_first_run(task: Any) -> bool:
    """Whether the task runs for the first time; its redelivery finds another answer."""
    return int(flags.incr(f"runs:{task.request.id}")) == 1


@app.task
def succeed(result: Any = None, *more: Any) -> Any:
    """Ends well."""
    return result


@app.task
def fail() -> None:
    """Raises."""
    raise ValueError


@app.task(bind=True, max_retries=2, default_retry_delay=0)
def retry_in_vain(self: Any) -> None:
    """Asks for two retries and then fails."""
    raise self.retry(exc=KeyError("k"))


@app.task(bind=True, autoretry_for=(ValueError,), max_retries=5, default_retry_delay=0)
def retry_with_luck(self: Any) -> None:
    """Raises twice, then ends well."""
    if self.request.retries < 2:
        raise ValueError


@app.task(time_limit=1)
def hard_limit() -> None:
    """Runs into the hard time limit."""
    time.sleep(60)


@app.task(bind=True, time_limit=1, acks_late=True, acks_on_failure_or_timeout=False)
def hard_limit_late(self: Any) -> None:
    """Runs into the hard time limit once, is given out again and ends well."""
    if is_first_run(self):
        time.sleep(60)


@app.task(soft_time_limit=1)
def soft_limit() -> None:
    """Runs into the soft time limit."""
    time.sleep(60)


@app.task(soft_time_limit=1)
def soft_limit_handled() -> None:
    """Runs into the soft time limit and knows what to do."""
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        return


@app.task
def killed() -> None:
    """Its process is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def killed_late(self: Any) -> None:
    """Its process is killed once; the message is given out again and ends well."""
    if is_first_run(self):
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True)
def publish_and_die(self: Any, count: int) -> None:
    """Publishes and is killed at once; when Celery runs it again, it is only killed."""
    for _ in range(count if is_first_run(self) else 0):
        published_by_killed.delay()
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def published_by_killed() -> None:
    """Ends well."""


@app.task
def exits() -> None:
    """Leaves the process."""
    sys.exit(3)


@app.task
def unencodable() -> Any:
    """Returns what no serializer takes."""
    return object()


@app.task
def rejected() -> None:
    """Rejects its message for good."""
    raise Reject("no", requeue=False)


@app.task(bind=True, acks_late=True)
def rejected_late(self: Any) -> None:
    """Gives its message back once and ends well."""
    if is_first_run(self):
        raise Reject("later", requeue=True)


@app.task
def rejected_early() -> None:
    """Wants to give back a message that was acknowledged before it ran."""
    raise Reject("too late", requeue=True)


@app.task
def ignored() -> None:
    """Has no outcome."""
    raise Ignore


@app.task(bind=True)
def replaced(self: Any) -> None:
    """Puts another task in its place."""
    raise self.replace(replacement.si())


@app.task
def replacement() -> None:
    """Ends well."""


@app.task
def expired() -> None:
    """Never runs."""


@app.task
def revoked() -> None:
    """Never runs."""


@app.task(bind=True)
def terminated(self: Any) -> None:
    """Runs until it is terminated."""
    flags.set(f"started:{self.request.id}", 1)
    time.sleep(60)


@app.task
def later() -> None:
    """Ends well."""


@app.task
def spread(count: int) -> None:
    """Publishes from within a task."""
    for _ in range(count):
        spread_out.delay()


@app.task
def spread_out() -> None:
    """Ends well."""


@app.task
def add(*numbers: Any) -> int:
    """For groups, chains and chords."""
    return sum(n if isinstance(n, int) else sum(n) for n in numbers)


@app.task
def wait(seconds: float = 0.2) -> None:
    """Takes a moment."""
    time.sleep(seconds)


@app.task
def measured() -> None:
    """Something of the application is measured inside the task, which also keeps count of its runs itself."""
    flags.incr("runs:measured")
    telemetry.get().llm.cache_hit(provider="p", model="inside")
    with telemetry.get().llm.request(provider="p", model="inside"):
        pass
    with telemetry.get().llm.request(provider="openai", model="gpt-4o") as call:
        call.usage(prompt_tokens=1_000_000)
    telemetry.get().database.query_executed("SELECT", "inside", 0.01)
    chat.of(telemetry.get()).operation("upload", bucket="inside", transferred_bytes=10)
    own_events.add(1)


@app.task
def records_all_the_time(seconds: float = 20.0) -> None:
    """LLM calls half a millisecond apart, for longer than any limit."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        call = telemetry.get().llm.request(provider="openai", model="endless")
        time.sleep(0.0005)
        call.response({"usage": {"prompt_tokens": 10, "completion_tokens": 5}})
        call.end()


@app.task
def measured_and_killed() -> None:
    """The same, and the process is killed before it can say so to anybody."""
    measured.run()
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(acks_late=True)
def wait_late(seconds: float = 0.2) -> None:
    """Takes a moment, and is acknowledged when it has ended."""
    time.sleep(seconds)


@app.task
def threads_of_child() -> list[str]:
    """Which threads the pool process has."""
    import threading

    return sorted(thread.name for thread in threading.enumerate())


@worker_init.connect
def _register_late(**_: Any) -> None:
    from celery import Task
    from celery.worker.request import Request

    class OwnRequest(Request):
        """A Request class of the user."""

    class OwnTask(Task):
        Request = OwnRequest

    @app.task(name=f"{__name__}.own_request", base=OwnTask)
    def own_request() -> None:
        """Its class brings its own Request."""
