"""What counts as a submission, and under which queue."""

from __future__ import annotations

from collections.abc import Iterator

import kombu
import pytest
from celery import Celery
from kombu import Exchange, Queue, binding

from support.waiting import eventually
from telemetry import guard, instrument_celery, testing
from tests.telemetry.celery.fleet import TASKS, Broker, Fleet

MEDIA = Exchange("media", type="topic")
NEWS = Exchange("news", type="fanout")
WORK = Exchange("work", type="direct")
QUEUES = [
    Queue("video", exchange=MEDIA, routing_key="video.#"),
    Queue("sound", exchange=MEDIA, bindings=[binding(MEDIA, "audio.*"), binding(MEDIA, "*.music")]),
    Queue("desk", exchange=NEWS),
    Queue("heavy", exchange=WORK, routing_key="crunch"),
    Queue("celery"),
]


@pytest.fixture
def app(broker: Broker) -> Iterator[Celery]:
    """An instrumented application that publishes."""
    made = Celery("publisher", broker=broker.url)
    made.conf.task_queues = QUEUES
    instrument_celery(made)
    yield made
    instrument_celery(made).close()


def submitted(captured: testing.Captured) -> dict[tuple[str, str], float]:
    """Submissions by task and queue."""
    series = captured.series("celery_tasks_submitted_total")
    return {(dict(labels)["task_name"], dict(labels)["queue"]): count for labels, count in series.items()}


@pytest.mark.parametrize(
    ("options", "queues"),
    [
        ({}, ["celery"]),
        ({"queue": "heavy"}, ["heavy"]),
        ({"exchange": "work", "routing_key": "crunch"}, ["heavy"]),
        ({"exchange": "media", "routing_key": "video.hd.long"}, ["video"]),
        ({"exchange": "media", "routing_key": "video"}, ["video"]),
        ({"exchange": "media", "routing_key": "audio.speech"}, ["sound"]),
        ({"exchange": "media", "routing_key": "video.music"}, ["video", "sound"]),
        ({"exchange": "news", "routing_key": "whatever"}, ["desk"]),
        ({"exchange": "work", "routing_key": "user.1234"}, ["unknown"]),
    ],
)
def test_queue_is_where_the_broker_puts_it(
    app: Celery, captured: testing.Captured, options: dict[str, str], queues: list[str]
) -> None:
    """The label is the queue that is bound to exchange and routing key, each of them if several are."""
    exchange = {e.name: e for e in (MEDIA, NEWS, WORK)}.get(options.get("exchange", ""))
    app.send_task("t", **{**options, **({"exchange": exchange} if exchange else {})})
    assert submitted(captured) == {("t", queue): 1 for queue in queues}


def test_worker_and_publisher_agree_on_queues(fleet: Fleet) -> None:
    """A task routed by exchange and key has the same queue label when it is submitted and when it has ended."""
    fleet.start_worker("-Q", "celery")
    queue = Queue("routed", exchange=Exchange("routed-by", type="direct"), routing_key="key")
    with fleet.publisher.connection_for_write() as connection:
        queue(connection.default_channel).declare()
    add_consumer = fleet.publisher.control.add_consumer  # a worker that is ready may not listen to commands yet
    assert eventually(lambda: add_consumer("routed", exchange="routed-by", routing_key="key", reply=True))
    fleet.send("succeed", exchange=queue.exchange, routing_key="key")
    name = f"{TASKS}.succeed"
    assert eventually(lambda: fleet.sink.total("celery_tasks_completed_total", task_name=name, queue="routed") == 1)


def test_failed_publish_is_not_counted(captured: testing.Captured) -> None:
    """What the broker did not take was not submitted."""
    app = Celery(broker="redis://127.0.0.1:1")
    app.conf.update(broker_connection_timeout=1, task_publish_retry=False)
    instrument_celery(app)
    with pytest.raises(kombu.exceptions.OperationalError):
        app.send_task("t")
    instrument_celery(app).close()
    assert submitted(captured) == {}


def test_retry_is_not_a_submission(app: Celery, captured: testing.Captured) -> None:
    """A message that says it is a retry is not counted again, in both task protocols."""
    for protocol in (1, 2):
        app.amqp.__dict__.pop("create_task_message", None)
        app.amqp.__dict__.pop("send_task_message", None)
        app.conf.task_protocol = protocol
        app.send_task("t", retries=1)
        app.send_task("t")
    assert submitted(captured) == {("t", "celery"): 2}


def test_two_applications_count_apart(app: Celery, broker: Broker, captured: testing.Captured) -> None:
    """Of several applications in a process each instrumented one counts its own messages, once; others none."""
    second, foreign = (Celery(name, broker=broker.url) for name in ("second", "foreign"))
    instrument_celery(second)
    instrument_celery(second)
    app.send_task("a")
    second.send_task("b")
    foreign.send_task("c")
    instrument_celery(second).close()
    second.send_task("d")
    assert submitted(captured) == {("a", "celery"): 1, ("b", "celery"): 1}


def test_priorities_are_counted(app: Celery, captured: testing.Captured) -> None:
    """Each message counts under its priority, one without a priority as `none`."""
    for priority in (9, 9, 0, None):
        app.send_task("t", priority=priority)
    for priority, count in (("9", 2), ("0", 1), ("none", 1)):
        assert captured.value("celery_tasks_by_priority_total", queue="celery", priority=priority) == count


def test_eager_task_is_not_a_submission(app: Celery, captured: testing.Captured) -> None:
    """A task that runs in the caller's own process was not published."""

    @app.task
    def eager() -> None:
        """Ends well."""

    app.conf.task_always_eager = True
    eager.delay()
    assert submitted(captured) == {}


def test_names_stay_within_budget(app: Celery, captured: testing.Captured) -> None:
    """Hundreds of task names and queues that do not exist become `other`; known ones keep their place."""

    @app.task(name="known")
    def known() -> None:
        """Ends well."""

    for i in range(300):
        app.send_task(f"invented.{i}", queue=f"invented-{i}")
    known.apply_async(queue="heavy")
    labels = submitted(captured)
    assert len({task for task, _ in labels}) <= 201
    assert len({queue for _, queue in labels}) <= 51
    assert labels["known", "heavy"] == 1
    assert sum(labels.values()) == 301


def test_our_exception_reaches_no_publisher(
    app: Celery, captured: testing.Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in counting does not keep a task from being published."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    monkeypatch.setattr(captured.telemetry.celery, "submitted", None)
    assert app.send_task("t").id


def test_our_exception_reaches_no_pool(fleet: Fleet) -> None:
    """With every verb of ours broken, tasks succeed, fail, retry and die as they would without telemetry."""
    fleet.start_worker(BREAK_TELEMETRY="1")
    lost = fleet.send("killed")
    assert fleet.send("succeed", 7).get(20) == 7
    with pytest.raises(ValueError):  # noqa: PT011 - the task's own exception has no text
        fleet.send("fail").get(20)
    assert fleet.send("retry_with_luck").get(20) is None
    assert "WorkerLostError" in repr(lost.get(20, propagate=False))
    assert fleet.send("succeed", 8).get(20) == 8
    log = fleet.log("w1").read_text()
    assert "telemetry failed while counting a completed task" in log
    assert "Pool callback raised" not in log
