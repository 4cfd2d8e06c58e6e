"""Two Celery services that report to one place: told apart by a namespace, found out without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import collector as collectors
from support.collector import CONFIG, DURABLE, Collector
from support.waiting import eventually
from tests.telemetry.celery.fleet import TASKS, Broker, Fleet, running

CONFIGS = [pytest.param(CONFIG, marks=pytest.mark.slow, id="official"), pytest.param(DURABLE, id="durable")]
SERVICES = ("shop", "search")
LENGTHS = {"shop": 5, "search": 1}
WARNING = "both report as one fleet"


@pytest.fixture
def services(broker: Broker, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Fleet]]:
    """Two fleets, each on a Redis of its own, whose queues have the same names."""
    other = Broker(tmp_path_factory.mktemp("redis"))
    with ExitStack() as stack:
        stack.callback(other.stop)
        fleets = {}
        for name, on in zip(SERVICES, (broker, other), strict=True):
            (tmp_path / name).mkdir()
            fleets[name] = stack.enter_context(running(on, tmp_path / name))
        yield fleets


def _variables(name: str, place: Path, endpoint: str, namespaces: bool) -> dict[str, str]:
    """What the processes of a service get: one host, one collector, and namespaces or none."""
    given = f",service.namespace={name}" if namespaces else ""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name=prod{given}",
        "TELEMETRY_STATE_DIR": str(place / "state"),
    }


def _work(services: dict[str, Fleet], place: Path, endpoint: str, *, namespaces: bool) -> None:
    """Let each service do three times as many tasks as it leaves waiting, and have a process that reads its broker."""
    for name, fleet in services.items():
        variables = _variables(name, place, endpoint, namespaces)
        fleet.start_worker("-Q", "done", name="w", **variables)
        for _ in range(3 * LENGTHS[name]):
            fleet.send("succeed", queue="done")
        for _ in range(LENGTHS[name]):
            fleet.send("succeed")
        fleet.start_publisher(**variables)


def _warned(services: dict[str, Fleet]) -> list[bool]:
    """Whether any reader of a service did; whichever of its processes that is."""
    return [any(WARNING in fleet.log(name).read_text() for name in ("w", "publisher")) for fleet in services.values()]


def _fingerprints(collector: Collector) -> list[dict[str, str]]:
    return [dict(labels) for labels in collector.series("celery_broker_info")]


@pytest.mark.parametrize("config", CONFIGS)
def test_namespaces_keep_services_apart(services: dict[str, Fleet], tmp_path: Path, config: Path) -> None:
    """With namespaces, each service has its own lengths, workers and totals behind one collector, and nobody is warned."""
    with collectors.running(config) as collector:
        _work(services, tmp_path, collector.endpoint, namespaces=True)
        for name, waiting in LENGTHS.items():
            whose = {"environment": "prod", "service_namespace": name}
            task = {**whose, "task_name": f"{TASKS}.succeed"}
            counted = ("celery_tasks_completed_total", 3 * waiting), ("celery_task_duration_seconds", 3 * waiting)
            for metric, expected in counted:
                assert collector.settles_at(metric, expected, 20.0, **task) == expected
            assert collector.settles_at("celery_active_workers", 1, 20.0, hostname="w@test", **whose) == 1
            assert collector.settles_at("celery_worker_pool_size", 2, 20.0, hostname="w@test", **whose) == 2
            assert collector.settles_at("celery_queue_length", waiting, 20.0, queue="celery", **whose) == waiting
        assert eventually(lambda: len(_fingerprints(collector)) == len(SERVICES))
        assert {labels.get("service_namespace") for labels in _fingerprints(collector)} == set(SERVICES)
    assert _warned(services) == [False, False]


@pytest.mark.parametrize("config", CONFIGS)
def test_two_brokers_that_report_as_one_are_seen(services: dict[str, Fleet], tmp_path: Path, config: Path) -> None:
    """Without namespaces totals are added up, two fingerprints report as one fleet, and the reader of each broker warns."""
    with collectors.running(config) as collector:
        _work(services, tmp_path, collector.endpoint, namespaces=False)
        task = {"environment": "prod", "task_name": f"{TASKS}.succeed", "queue": "done"}
        both = 3 * sum(LENGTHS.values())
        assert collector.settles_at("celery_tasks_completed_total", both, 20.0, **task) == both
        assert tuple(sorted(task.items())) in collector.series("celery_tasks_completed_total")
        assert eventually(lambda: len(_fingerprints(collector)) == len(SERVICES))
        assert all(labels.keys() == {"environment", "fingerprint"} for labels in _fingerprints(collector))
        assert eventually(lambda: _warned(services) == [True, True])
    for fleet in services.values():
        assert all(fleet.log(name).read_text().count(WARNING) <= 1 for name in ("w", "publisher"))


def test_fingerprint_is_the_fleets(fleet: Fleet) -> None:
    """Whichever process reports, and whichever was killed, a broker has one fingerprint, and nobody is warned."""

    def seen() -> set[str]:
        facts = list(fleet.sink.facts)
        return {dict(key)["fingerprint"] for name, key in facts if name == "celery_broker_info"}

    first = fleet.start_publisher("first")
    assert eventually(lambda: len(seen()) == 1)
    before = seen()
    fleet.start_publisher("second")
    assert eventually(lambda: len(fleet.sink.instances) > 1)
    fleet.kill(first)
    fleet.sink.facts.clear()
    assert eventually(lambda: seen() == before)
    assert WARNING not in fleet.log("second").read_text()


def test_namespaces_have_readers_of_their_own(fleet: Fleet) -> None:
    """Two services on one Redis database elect a reader each, in one environment."""
    for name in SERVICES:
        fleet.start_publisher(name, OTEL_RESOURCE_ATTRIBUTES=f"service.namespace={name}")
    assert eventually(lambda: len(fleet.broker.client.keys("*telemetry:celery:*lease")) == len(SERVICES))
    leases = {key.decode().split(":")[2] for key in fleet.broker.client.keys("*telemetry:celery:*lease")}
    assert leases == {"dev/shop", "dev/search"}


def test_fingerprint_is_forgotten_with_the_fleet(fleet: Fleet) -> None:
    """What a broker keeps of it expires, and a reader that ends takes its note on the host with it."""
    publisher = fleet.start_publisher()
    notes = Path(fleet.env()["TELEMETRY_STATE_DIR"])
    assert eventually(lambda: list(notes.glob("celery-*.broker")))
    (key,) = fleet.broker.client.keys("*telemetry:celery:dev:fingerprint")
    assert 0 < fleet.broker.client.ttl(key) <= 3600
    fleet.end(publisher)
    assert list(notes.glob("celery-*.broker")) == []
