"""Carries what children recorded to their parent: at once what must survive their kill, at their end the rest.

So neither a SIGKILL nor a collector that is down decides what is counted or how long a child takes to end. It sends
nothing anywhere else.
"""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from telemetry import guard
from telemetry.pipeline.journal import JournalReader, JournalWriter
from telemetry.pipeline.merge import merge

_logger = logging.getLogger("telemetry")

Recorded = list[tuple[str, str | None, list[Metric]]]


class Handover:
    """A private directory that the children of this process leave their last counts in; made before they are forked."""

    def __init__(self) -> None:
        self._parent = os.getpid()
        self._directory = Path(tempfile.gettempdir()) / f"telemetry-{self._parent}-{secrets.token_hex(8)}"
        self._reader = JournalReader(self._directory)
        self._writer: tuple[int, JournalWriter] | None = None

    def is_possible(self) -> bool:
        """Whether the calling process is a child whose parent still lives."""
        return os.getppid() == self._parent

    def tell(self, line: str) -> bool:
        """Tell the parent something, at once; called in a child. Whether it will get to know it."""
        if not self.is_possible():
            return False
        try:
            self._journal().write(line.encode())
        except OSError as error:
            _logger.warning("the parent process cannot be told what was counted: %s", error)
            return False
        return True

    def told(self) -> list[str]:
        """What children told since the last time; called in the parent."""
        if os.getpid() != self._parent:
            return []
        return [line.decode() for line in self._reader.read()]

    def _journal(self) -> JournalWriter:
        if self._writer is None or self._writer[0] != os.getpid():
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._writer = os.getpid(), JournalWriter(self._directory)
        return self._writer[1]

    def leave(self, recorded: Recorded) -> bool:
        """Leave what the calling child recorded for its parent; whether that worked."""
        complete = self._directory / f"{os.getpid()}-{secrets.token_hex(4)}.left"
        partial = complete.with_suffix(".part")
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            partial.write_bytes(pickle.dumps(recorded))
            partial.rename(complete)
        except OSError as error:
            _logger.warning("metrics cannot be handed to the parent process: %s", error)
            return False
        return True

    def take(self) -> Recorded:
        """Take what children left since the last time; called in the parent."""
        if os.getpid() != self._parent:
            return []
        taken: Recorded = []
        for path in self._directory.glob("*.left"):
            with guard.guarded("taking what a child process left"):
                content = path.read_bytes()
                path.unlink()
                taken += pickle.loads(content)  # noqa: S301 - written by our own child in a directory only we can read
        return taken

    def remove(self) -> None:
        """Remove the directory; called when the parent ends."""
        if os.getpid() == self._parent:
            with suppress(OSError):
                shutil.rmtree(self._directory)


def portable(data: MetricsData | None) -> Recorded:
    """What survives its process: counts and readings. A level ends with the process whose level it was."""
    scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
    return [
        (scope.scope.name, scope.scope.version, [metric for metric in scope.metrics if not _is_level(metric)])
        for scope in scopes
    ]


def adopted(own: MetricsData | None, recorded: Recorded) -> MetricsData | None:
    """``own`` and what children recorded, as if this process had recorded it all.

    Totals carry no identity, so nothing changes for them but the sender; memory stays bounded by the number of series.
    """
    if own is None or not own.resource_metrics or not recorded:
        return own
    resource = own.resource_metrics[0].resource
    older: MetricsData | None = None
    for name, version, metrics in recorded:
        older = merge(older, _as_data(resource, name, version, metrics))
    return merge(older, own)


def _as_data(resource: Resource, name: str, version: str | None, metrics: Iterable[Metric]) -> MetricsData:
    scope = ScopeMetrics(scope=InstrumentationScope(name, version), metrics=list(metrics), schema_url="")
    return MetricsData([ResourceMetrics(resource=resource, scope_metrics=[scope], schema_url="")])


def _is_level(metric: Metric) -> bool:
    return isinstance(metric.data, Sum) and metric.data.aggregation_temporality is AggregationTemporality.CUMULATIVE
