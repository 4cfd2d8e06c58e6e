"""An export of one made-up level, sent as a process of the service sends its own, looked for where it should be seen.

A level, because a total would stay. It is taken back when it has been looked for; where that does not arrive, the
collector forgets a level by itself 60 seconds after its last report. No metric of the catalogue is touched.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from telemetry.cli import page, web
from telemetry.cli.doctor.later import Later
from telemetry.cli.doctor.server import PrometheusServer
from telemetry.cli.prometheus_api import PrometheusError
from telemetry.pipeline.resource import build_resource
from telemetry.pipeline.transport import Answer, OtlpTransport, Outcome, build_transport
from telemetry.settings.settings import Settings

NAME = "telemetry_doctor_canary"
_HELP = "1 while a doctor looks whether exports arrive; gone a minute later."
_SEND_SECONDS = 2.0
_SHOWN_WITHIN = 2.5
_SCRAPED_WITHIN = 2.0
_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Canary:
    """What became of it.

    Attributes:
        answer: Of the collector.
        broken: Why it could not be sent at all; empty where it was.
        is_shown: Whether the collector's page of levels shows it; ``None`` where there is no such page.
        is_scraped: Whether Prometheus has it; ``None`` where it was not waited for.
    """

    answer: Answer | None = None
    broken: str = ""
    is_shown: bool | None = None
    is_scraped: bool | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the collector has acknowledged it."""
        return self.answer is not None and self.answer.outcome is Outcome.TAKEN


def fly(
    settings: Settings, levels: str, prometheus: Later[PrometheusServer] | None, access: web.Access = web.NO_ACCESS
) -> Canary:
    """Send a canary, look for it, and take it back.

    Args:
        settings: Of the service.
        levels: The address of the collector's page of levels; empty where it is not known.
        prometheus: Where it should arrive, too.
        access: For that page.
    """
    try:
        transport = build_transport(settings.destination)
    except Exception as error:
        return Canary(broken=str(error))
    probe = secrets.token_hex(4)
    export = _export(settings, probe)
    canary = Canary(transport.send(export, _SEND_SECONDS))
    if canary.is_taken:
        canary = _looked_for(canary, probe, partial(page.read, levels, access=access) if levels else None, prometheus)
        _take_back(export, transport)
    transport.close()
    return canary


def _take_back(export: MetricsData, transport: OtlpTransport) -> None:
    """Say that there is no value any more, which a collector's page forgets at once."""
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.proto.metrics.v1.metrics_pb2 import DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK

    request = encode_metrics(export)
    (point,) = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    point.flags = DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
    transport.send_encoded(request, _SEND_SECONDS)


def _looked_for(
    canary: Canary, probe: str, levels: Callable[[], page.Page] | None, prometheus: Later[PrometheusServer] | None
) -> Canary:
    canary = replace(canary, is_shown=_is_shown(levels, probe) if levels else None)
    if canary.is_shown and prometheus is not None:
        canary = replace(canary, is_scraped=_is_scraped(prometheus.get(), probe))
    return canary


def _is_shown(levels: Callable[[], page.Page], probe: str) -> bool | None:
    """Whether the page shows it; ``None`` for a page that cannot be read."""
    if levels().problem:
        return None
    return _eventually(lambda: _has(levels().by_name.get(NAME, ()), probe), _SHOWN_WITHIN)


def _has(samples: object, probe: str) -> bool:
    return any(sample.labels.get("probe") == probe for sample in samples)  # type: ignore[attr-defined]


def _is_scraped(server: PrometheusServer, probe: str) -> bool | None:
    """Whether Prometheus has it; ``None`` where it scrapes too rarely to wait for that."""
    intervals = [target.interval for target in server.targets]
    if server.problem or not intervals or max(intervals) * 2 > _SCRAPED_WITHIN:
        return None
    try:
        return _eventually(lambda: _has(server.api.query(f'{NAME}{{probe="{probe}"}}'), probe), _SCRAPED_WITHIN)
    except PrometheusError:
        return None


def _eventually(look: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            return False
        time.sleep(_BETWEEN_LOOKS)
    return True


def _export(settings: Settings, probe: str) -> MetricsData:
    now = time.time_ns()
    point = NumberDataPoint({"probe": probe}, now, now, 1)
    level = Metric(NAME, _HELP, "", Sum([point], AggregationTemporality.CUMULATIVE, is_monotonic=False))
    scope = ScopeMetrics(InstrumentationScope("telemetry"), [level], "")
    return MetricsData([ResourceMetrics(build_resource(settings), [scope], "")])
