"""Where a moment is read: from a collector's pages, whose totals are compared, or from a Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol

from telemetry.cli import page, web
from telemetry.cli.collector_address import CollectorAddress
from telemetry.cli.page import Page, Sample
from telemetry.cli.prometheus_api import Prometheus, PrometheusError
from telemetry.cli.watch.increments import Increments
from telemetry.cli.watch.moment import RATES, STANDING, Alert, Moment

Chosen = Callable[[Sample], bool]

_AT_ONCE = 8
_LEAST_WINDOW = 60.0
_SCRAPES_OF_A_RATE = 4


class Source(Protocol):
    """Something to read moments from."""

    name: str

    def read(self) -> Moment:
        """How the fleet stands now; never raises: a read that failed says why, with what is known from before."""


class CollectorSource:
    """The pages of a collector.

    Args:
        address: Of its pages.
        chosen: Which series are shown.
        clock: Seconds that never go back.
        access: For the pages.
    """

    def __init__(
        self,
        address: CollectorAddress,
        chosen: Chosen,
        clock: Callable[[], float] = time.monotonic,
        access: web.Access = web.NO_ACCESS,
    ) -> None:
        self._access = access
        self.name = address.totals
        self._address = address
        self._chosen = chosen
        self._clock = clock
        self._increments = Increments()
        self._last = Moment()

    def read(self) -> Moment:
        """Both pages; the first read has no rates yet."""
        totals, levels = (page.read(url, access=self._access) for url in (self._address.totals, self._address.levels))
        problem = _problem(totals) or _problem(levels)
        if problem:
            self._last = replace(self._last, problem=problem, _by_name={})
            return self._last
        self._increments.add(self._only(totals, RATES), self._clock())
        self._last = Moment(
            self._increments.rates(), list(self._only(levels, STANDING)), seconds=self._increments.seconds
        )
        return self._last

    def _only(self, read: Page, names: Iterable[str]) -> Iterator[Sample]:
        return (sample for sample in read.named(*names) if self._chosen(sample))


def _problem(read: Page) -> str:
    return read.problem and f"{read.url}: {read.problem}"


class PrometheusSource:
    """A Prometheus, which computes the rates, over four of its scrapes or a minute.

    Args:
        api: Asks it.
        chosen: Which series are shown.
    """

    def __init__(self, api: Prometheus, chosen: Chosen) -> None:
        self.name = api.url
        self._api = api
        self._chosen = chosen
        self._window = 0.0
        self._last = Moment()

    def read(self) -> Moment:
        """Rates, what stands, and alerts."""
        try:
            self._last = self._read()
        except PrometheusError as error:
            self._last = replace(self._last, problem=f"{self.name}: {error}", _by_name={})
        return self._last

    def _read(self) -> Moment:
        window = self._window = self._window or self._window_of_rates()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            rates = list(pool.map(lambda name: self._rate(name, window), RATES))
            standing = pool.submit(self._api.query, f'{{__name__=~"{"|".join(STANDING)}"}}')
            alerts = pool.submit(self._api.ask, "alerts")
            return Moment(
                rates=[sample for samples in rates for sample in samples],
                standing=list(filter(self._chosen, standing.result())),
                seconds=window,
                alerts=sorted(map(_alert, alerts.result()["alerts"]), key=_urgency),
            )

    def _window_of_rates(self) -> float:
        intervals = [target.interval for target in self._api.targets()]
        return max(_LEAST_WINDOW, _SCRAPES_OF_A_RATE * max(intervals, default=0.0))

    def _rate(self, name: str, window: float) -> list[Sample]:
        read = self._api.query(f"rate({name}[{window:.0f}s])")
        return [Sample(name, sample.labels, sample.value) for sample in read if self._chosen(sample)]


def _alert(said: Mapping[str, Any]) -> Alert:
    labels = said.get("labels", {})
    about = said.get("annotations", {}).get("description") or said.get("annotations", {}).get("summary", "")
    return Alert(labels.get("alertname", ""), labels.get("severity", ""), said.get("state", ""), about)


def _urgency(alert: Alert) -> tuple[bool, int, str]:
    order = {"critical": 0, "warning": 1}
    return alert.state != "firing", order.get(alert.severity, 2), alert.name
