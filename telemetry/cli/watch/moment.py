"""How the fleet stands at one moment, as numbers for people; where they were read is in ``sources.py``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from telemetry.catalogue import celery, http, llm
from telemetry.cli.page import Sample
from telemetry.cli.watch.increments import quantile

RATES = (
    http.REQUESTS.name,
    f"{http.DURATION.name}_bucket",
    celery.SUBMITTED.name,
    celery.COMPLETED.name,
    celery.FAILED.name,
    f"{celery.DURATION.name}_bucket",
    llm.REQUESTS.name,
    llm.TOKENS.name,
    llm.COST.name,
)
"""Totals whose rates are shown."""
STANDING = (
    http.IN_PROGRESS.name,
    celery.QUEUE_LENGTH.name,
    celery.OLDEST.name,
    celery.ACTIVE_WORKERS.name,
    celery.HELD.name,
    celery.POOL_SIZE.name,
)
"""Levels and facts that are shown."""

_P95 = 0.95
_SERVER_ERRORS = "5"


class Route(NamedTuple):
    """One route, or all of them."""

    name: str
    rate: float
    errors: float
    p95: float | None
    in_progress: float


class Task(NamedTuple):
    """One task, or all of them; by the second."""

    name: str
    submitted: float
    completed: float
    failed: float
    p95: float | None


class Queue(NamedTuple):
    """One queue, and the seconds that its oldest task waits."""

    name: str
    length: float
    oldest: float | None


class Worker(NamedTuple):
    """One worker node."""

    name: str
    is_active: bool
    busy: float
    size: float


class Model(NamedTuple):
    """One model, or all of them: calls a second, tokens a minute, dollars an hour."""

    name: str
    calls: float
    tokens: float
    cost: float


class Alert(NamedTuple):
    """An alert that is pending or fires."""

    name: str
    severity: str
    state: str
    about: str


@dataclass(frozen=True)
class Moment:
    """One moment.

    Attributes:
        rates: Totals by the second.
        standing: Levels and facts.
        seconds: Over which rates are.
        alerts: ``None`` where they are not known.
        problem: Why the last read failed.
    """

    rates: Sequence[Sample] = ()
    standing: Sequence[Sample] = ()
    seconds: float = 0.0
    alerts: Sequence[Alert] | None = None
    problem: str = ""
    _by_name: dict[str, list[Sample]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for sample in (*self.rates, *self.standing):
            self._by_name.setdefault(sample.name, []).append(sample)

    def routes(self) -> list[Route]:
        """All of them together, then each, the busiest first."""
        requests = self._sums(http.REQUESTS.name, _route)
        errors = self._sums(
            http.REQUESTS.name, _route, lambda labels: labels.get("status_code", "")[:1] == _SERVER_ERRORS
        )
        times = self._buckets(http.DURATION.name, _route)
        now = self._sums(http.IN_PROGRESS.name, _route)
        names = sorted(requests.keys() | now.keys(), key=lambda name: (-requests.get(name, 0.0), name))
        rows = [_row(name, requests, errors, _p95_of(times.get(name, {})), now) for name in names]
        total = Route(
            "all", sum(requests.values()), _share(errors, requests), _p95_of(_merged(times)), sum(now.values())
        )
        return [total, *rows]

    def tasks(self) -> list[Task]:
        """All of them together, then each, the busiest first."""
        submitted, completed, failed = (
            self._sums(spec.name, _task) for spec in (celery.SUBMITTED, celery.COMPLETED, celery.FAILED)
        )
        times = self._buckets(celery.DURATION.name, _task)
        rows = [
            Task(
                name,
                submitted.get(name, 0.0),
                completed.get(name, 0.0),
                failed.get(name, 0.0),
                _p95_of(times.get(name, {})),
            )
            for name in submitted.keys() | completed.keys() | failed.keys()
        ]
        total = Task(
            "all", sum(submitted.values()), sum(completed.values()), sum(failed.values()), _p95_of(_merged(times))
        )
        return [total, *sorted(rows, key=_quiet)]

    def queues(self) -> list[Queue]:
        """Each, the longest first; of several reports of one queue the largest."""
        lengths, oldest = (self._largest(spec.name, "queue") for spec in (celery.QUEUE_LENGTH, celery.OLDEST))
        names = sorted(lengths, key=lambda name: (-lengths[name], name))
        return [Queue(name, lengths[name], oldest.get(name)) for name in names]

    def workers(self) -> list[Worker]:
        """Each, those that are gone first."""
        active = self._largest(celery.ACTIVE_WORKERS.name, "hostname")
        busy = self._sums(celery.HELD.name, _host, lambda labels: labels.get("state") == "active")
        size = self._sums(celery.POOL_SIZE.name, _host)
        rows = [Worker(name, bool(active[name]), busy.get(name, 0.0), size.get(name, 0.0)) for name in active]
        return sorted(rows, key=lambda worker: (worker.is_active, worker.name))

    def models(self) -> list[Model]:
        """All of them together, then each, the most expensive first."""
        sums = [self._sums(spec.name, _model) for spec in (llm.REQUESTS, llm.TOKENS, llm.COST)]
        calls, tokens, cost = sums
        rows = [
            Model(name, calls.get(name, 0.0), 60 * tokens.get(name, 0.0), 3600 * cost.get(name, 0.0))
            for name in set().union(*sums)
        ]
        total = Model(
            "all", sum(row.calls for row in rows), sum(row.tokens for row in rows), sum(row.cost for row in rows)
        )
        return [total, *sorted(rows, key=lambda row: (-row.cost, -row.calls, row.name))]

    def _named(self, name: str) -> Iterable[Sample]:
        return self._by_name.get(name, ())

    def _sums(
        self,
        name: str,
        of: Callable[[Mapping[str, str]], str],
        where: Callable[[Mapping[str, str]], bool] = lambda labels: True,
    ) -> dict[str, float]:
        sums: defaultdict[str, float] = defaultdict(float)
        for sample in self._named(name):
            if where(sample.labels):
                sums[of(sample.labels)] += sample.value
        return dict(sums)

    def _largest(self, name: str, label: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for sample in self._named(name):
            of = sample.labels.get(label, "")
            found[of] = max(sample.value, found.get(of, 0.0))
        return found

    def _buckets(self, name: str, of: Callable[[Mapping[str, str]], str]) -> dict[str, dict[float, float]]:
        found: defaultdict[str, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
        for sample in self._named(f"{name}_bucket"):
            found[of(sample.labels)][float(sample.labels.get("le", "inf"))] += sample.value
        return {name: dict(buckets) for name, buckets in found.items()}


def _route(labels: Mapping[str, str]) -> str:
    return f"{labels.get('method', '')} {labels.get('endpoint', '')}"


def _task(labels: Mapping[str, str]) -> str:
    return labels.get("task_name", "")


def _host(labels: Mapping[str, str]) -> str:
    return labels.get("hostname", "")


def _model(labels: Mapping[str, str]) -> str:
    return f"{labels.get('provider', '')} {labels.get('model', '')}"


def _row(
    name: str, requests: Mapping[str, float], errors: Mapping[str, float], p95: float | None, now: Mapping[str, float]
) -> Route:
    rate = requests.get(name, 0.0)
    return Route(name, rate, errors.get(name, 0.0) / rate if rate else 0.0, p95, now.get(name, 0.0))


def _share(part: Mapping[str, float], whole: Mapping[str, float]) -> float:
    total = sum(whole.values())
    return sum(part.values()) / total if total else 0.0


def _merged(by_name: Mapping[str, Mapping[float, float]]) -> dict[float, float]:
    sums: defaultdict[float, float] = defaultdict(float)
    for buckets in by_name.values():
        for bound, count in buckets.items():
            sums[bound] += count
    return dict(sums)


def _quiet(task: Task) -> tuple[float, str]:
    return -(task.submitted + task.completed + task.failed), task.name


def _p95_of(buckets: Mapping[float, float]) -> float | None:
    return quantile(_P95, buckets)
