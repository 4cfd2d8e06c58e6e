"""PromQL over catalogue metrics, as dashboards need it; how a panel looks is in ``panels``.

Every expression filters by ``$environment`` and ``$service_namespace`` and keeps both labels: numbers of stage never
hide in those of prod, nor those of one service in another's. A series without a namespace passes and stays without.
Several collectors may show one fleet: totals are summed over them, a fact or a process's level counts once.
"""

from __future__ import annotations

from typing import Any

from grafana.rules.fleet import WHOSE
from telemetry.catalogue import CounterSpec, FactSpec, HistogramSpec, LevelSpec
from telemetry.shipped import ANCHORED

RATE = "$__rate_interval"
RANGE = "$__range"
LONG_RUNNING = 'endpoint!~".*/stream"'


def select(name: str, *where: str, over: str = "") -> str:
    """A selector limited to what is chosen and to ``where``, with a range where one is given."""
    matchers = ", ".join((*(f'{label}=~"${label}"' for label in WHOSE), *where))
    return f"{name}{{{matchers}}}" + (f"[{over}]" if over else "")


def by(*labels: str) -> str:
    """The grouping that keeps the environment, the namespace and these labels."""
    return f"by ({', '.join((*WHOSE, *labels))})"


def on(*labels: str) -> str:
    """The matching by environment, namespace and these labels."""
    return f"on ({', '.join((*WHOSE, *labels))})"


def rate(metric: CounterSpec[Any], *labels: str, where: tuple[str, ...] = ()) -> str:
    """Events a second."""
    return f"sum {by(*labels)} (rate({select(metric.name, *where, over=RATE)}))"


def increase(metric: CounterSpec[Any], *labels: str, where: tuple[str, ...] = (), over: str = RANGE) -> str:
    """Events within the dashboard's time range, or another window: a whole number."""
    return f"sum {by(*labels)} ({_increase(metric.name, *where, over=over)})"


def _increase(name: str, *where: str, over: str = RANGE) -> str:
    return f"increase({select(name, *where, over=over)}{ANCHORED})"


def count(metric: HistogramSpec[Any], *labels: str, where: tuple[str, ...] = ()) -> str:
    """Observations a second."""
    return f"sum {by(*labels)} (rate({select(metric.name + '_count', *where, over=RATE)}))"


def seconds(metric: HistogramSpec[Any], *labels: str, where: tuple[str, ...] = (), over: str = RATE) -> str:
    """Seconds observed in a second: how many were at work at once."""
    return f"sum {by(*labels)} (rate({select(metric.name + '_sum', *where, over=over)}))"


def seconds_spent(metric: HistogramSpec[Any], *labels: str, where: tuple[str, ...] = ()) -> str:
    """Seconds observed within the dashboard's time range."""
    return f"sum {by(*labels)} ({_increase(metric.name + '_sum', *where)})"


def observed(metric: HistogramSpec[Any], *labels: str, where: tuple[str, ...] = ()) -> str:
    """Observations within the dashboard's time range."""
    return f"sum {by(*labels)} ({_increase(metric.name + '_count', *where)})"


def within(metric: HistogramSpec[Any], bucket: str, *labels: str, where: tuple[str, ...] = ()) -> str:
    """Observations within the dashboard's time range that were not above a bucket's bound, given as ``le="…"``."""
    return f"sum {by(*labels)} ({_increase(metric.name + '_bucket', bucket, *where)})"


def quantile(share: float, metric: HistogramSpec[Any], *labels: str, where: tuple[str, ...] = ()) -> str:
    """The value that this share of observations stays under; absent, not NaN, where nothing was observed."""
    buckets = select(metric.name + "_bucket", *where, over=RATE)
    return f"histogram_quantile({share:g}, sum {by(*labels, 'le')} (rate({buckets}))) >= 0"


def fact(metric: FactSpec[Any], *labels: str, where: tuple[str, ...] = ()) -> str:
    """The last reading, added up over the labels that are not named."""
    once = f"max {by(*metric.label_keys)} ({select(metric.name, *where)})"
    return once if set(labels) == set(metric.label_keys) else f"sum {by(*labels)} ({once})"


def level(metric: LevelSpec[Any], *labels: str, where: tuple[str, ...] = ()) -> str:
    """The level now, added up over processes."""
    return f"sum {by(*labels)} (max {by('instance', *metric.label_keys)} ({select(metric.name, *where)}))"


def ratio(part: str, whole: str) -> str:
    """Part divided by whole; absent where the whole is 0, since nothing can be said then."""
    return f"{part} / ({whole} > 0)"


def share(part: str, whole: str, least: int) -> str:
    """Part divided by whole, both counts; absent where ``whole`` is below ``least``: a share of few says nothing."""
    return f"{part} / ({whole} >= {least})"


def or_zero(events: str, known: str) -> str:
    """``events``, and 0 where none was ever counted although ``known`` says that something could have been."""
    return f"{events} or {known} * 0"


def happened(events: str) -> str:
    """``events`` without those that were counted and are 0."""
    return f"{events} > 0"


def or_none(events: str, label: str, known: str) -> str:
    """``events`` that happened; a 0 whose ``label`` is `none` where ``known`` has the environment and none happened."""
    return f'{happened(events)} or {on()} label_replace({known} * 0, "{label}", "none", "", "")'
