"""What can be promised of which metric, and by which PromQL good and bad events are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from telemetry.catalogue import celery, http

WHOSE = ("environment", "service_namespace")
"""Labels that are kept apart: an objective is kept, or not, by each of their combinations."""

NO_PROBES = 'endpoint!~"/(healthz?|livez?|readyz?|metrics)"'
PLAIN = 'endpoint!~"/(healthz?|livez?|readyz?|metrics)|.*/stream"'
SERVER_ERROR = 'status_code=~"5.."'
_BASE = "5m"
_LATELY = "15m"
_BY = f"by ({', '.join(WHOSE)})"


@dataclass(frozen=True)
class Indicator:
    """Good and bad events, in PromQL.

    Attributes:
        bad: Bad events a second.
        every: All events a second.
        culprits: The largest groups of bad events lately, for a runbook.
        metrics: The selectors it is made of, to be checked.
    """

    bad: str
    every: str
    culprits: str
    metrics: tuple[str, ...]


def selected(series: str, *matchers: str) -> str:
    """A selector with more matchers."""
    name, _, inside = series.strip().partition("{")
    wanted = [each.strip(" ,\n") for each in (inside.rpartition("}")[0], *matchers)]
    together = ", ".join(filter(None, wanted))
    return f"{name.strip()}{{{together}}}" if together else name.strip()


def of_bad(bad: str, every: str, *by: str) -> Indicator:
    """From a counter of bad events and one of all."""
    return Indicator(_rate(bad), _rate(every), _largest(bad, by), (bad, every))


def of_good(good: str, every: str) -> Indicator:
    """From a counter of good events and one of all."""
    total, fine = _rate(every), _rate(good)
    return Indicator(f"clamp_min({total} - ({fine} or {total} * 0), 0)", total, f"({every}) - ({good})", (good, every))


def of_both(good: str, bad: str, culprits: str = "") -> Indicator:
    """From a counter of good events and one of bad events."""
    fine, wrong = _rate(good), _rate(bad)
    every = f"({fine} or {wrong} * 0) + ({wrong} or {fine} * 0)"
    return Indicator(wrong, every, culprits or _largest(bad, ()), (good, bad))


def of_latency(histogram: str, within: float, matchers: Sequence[str], *by: str) -> Indicator:
    """From a histogram: what takes longer than a bound of its buckets is bad."""
    quick = selected(f"{histogram}_bucket", bound(within), *matchers)
    every = selected(f"{histogram}_count", *matchers)
    # Without any bucket of this bound everything is slow, which is noticed; nothing would not be.
    slow = f"{_rate(every)} - ({_rate(quick)} or {_rate(every)} * 0)"
    buckets = selected(f"{histogram}_bucket", *matchers)
    labels = ", ".join((*WHOSE, *by, "le"))
    slowest = f"topk {_BY} (5, histogram_quantile(0.95, sum by ({labels}) (rate({buckets}[{_BASE}]))))"
    return Indicator(slow, _rate(every), slowest, (quick,))


def bound(seconds: float) -> str:
    """The matcher of a bucket: Prometheus 2 has ``5`` where Prometheus 3 has ``5.0``."""
    return f'le=~"{seconds:.0f}([.]0)?"' if float(seconds).is_integer() else f'le="{seconds:g}"'


def http_availability(selector: str) -> Indicator:
    """Requests without a server error; health probes do not count."""
    bad = selected(http.REQUESTS.name, SERVER_ERROR, NO_PROBES, selector)
    return of_bad(bad, selected(http.REQUESTS.name, NO_PROBES, selector), "method", "endpoint", "status_code")


def http_latency(selector: str, within: float) -> Indicator:
    """Requests that are answered in time; health probes and streams do not count."""
    return of_latency(http.DURATION.name, within, (PLAIN, selector), "method", "endpoint")


def task_success(selector: str) -> Indicator:
    """Tasks that succeed, of those that end."""
    good, bad = selected(celery.COMPLETED.name, selector), selected(celery.FAILED.name, selector)
    return of_both(good, bad, _largest(bad, ("task_name", "queue")))


def _rate(series: str) -> str:
    return f"sum {_BY} (rate({series}[{_BASE}]))"


def _largest(series: str, by: Sequence[str]) -> str:
    increase = f"increase({series}[{_LATELY}])"
    return f"topk {_BY} (5, sum by ({', '.join((*WHOSE, *by))}) ({increase}))" if by else f"topk {_BY} (5, {increase})"
