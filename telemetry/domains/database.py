"""Records connection pools and queries; declared in ``catalogue/database.py``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast
from weakref import WeakMethod

from telemetry import guard
from telemetry.catalogue import database as catalogue
from telemetry.catalogue.database import PoolLabels, QueryLabels
from telemetry.domains.errors import ErrorsRecorder
from telemetry.metrics.catalogue_instruments import Instruments
from telemetry.metrics.series import HistogramSeries


class PoolState(NamedTuple):
    """A connection pool as it stands; what a kind of pool cannot tell is ``None``, which is not 0.

    Attributes:
        active: Connections checked out.
        idle: Connections open and not checked out.
        size: Connections the pool keeps open at most.
        overflow: Connections open beyond ``size``.
    """

    active: int | None = None
    idle: int | None = None
    size: int | None = None
    overflow: int | None = None


ReadState = Callable[[], PoolState | None]
_WeakState = WeakMethod[ReadState]


class DatabaseRecorder:
    """Queries as they end, and pools as they stand at collection."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder) -> None:
        self._queries = instruments.histogram(catalogue.QUERY_DURATION)
        self._checkouts = instruments.histogram(catalogue.POOL_CHECKOUT)
        self._timeouts = instruments.counter(catalogue.POOL_TIMEOUTS)
        self._errors = errors
        self._pools: dict[_WeakState, str] = {}
        self._named: dict[tuple[str, str], HistogramSeries] = {}
        for spec, field in (
            (catalogue.CONNECTIONS_ACTIVE, "active"),
            (catalogue.CONNECTIONS_IDLE, "idle"),
            (catalogue.POOL_SIZE, "size"),
            (catalogue.POOL_OVERFLOW, "overflow"),
        ):
            instruments.observed_level(spec).read_from(partial(self._read_pools, field))

    def query_executed(self, operation: str, table: str, seconds: float) -> None:
        """The database executed a statement, or refused it.

        Args:
            operation: ``SELECT``, ``INSERT``, ``UPDATE``, ``DELETE``, ``DDL``; anything else counts as ``other``.
            table: Mapped table, or ``other``.
            seconds: How long the database took.
        """
        try:
            series = self._named.get((operation, table))
            if series is None:
                series = self._series(operation, table)
            series.record(seconds)
        except Exception as error:
            guard.swallow(error, "counting a query")

    def _series(self, operation: str, table: str) -> HistogramSeries:
        labels = cast("QueryLabels", {"operation": operation, "table": table})
        series = self._queries.bind(labels)
        # Bounded by the label's budget: where a value was replaced, every event has to count as an overflow.
        if self._queries.is_exact(labels):
            self._named[operation, table] = series
        return series

    def connection_handed_out(self, pool: str, seconds: float) -> None:
        """A pool handed a connection out, or gave up.

        Args:
            pool: Name of the pool.
            seconds: How long that took, waiting for a place and connecting included.
        """
        self._checkouts.record(seconds, {"pool": pool})

    def pool_timed_out(self, pool: str) -> None:
        """No connection became free in time."""
        self._timeouts.add(1, {"pool": pool})

    def read_pool_from(self, pool: str, state: ReadState) -> None:
        """Read the state of a connection pool at each collection.

        Args:
            pool: Name of the pool; pools of one name add up.
            state: A method that reads it, forgotten with its object; ``None`` once the pool is gone.
        """
        self._timeouts.declare({"pool": pool})
        pools = self._pools
        pools[WeakMethod(state, lambda gone: pools.pop(gone, None))] = pool

    def _read_pools(self, field: str) -> list[tuple[PoolLabels, float]]:
        readings: list[tuple[PoolLabels, float]] = []
        for weak, pool in list(self._pools.items()):
            with guard.guarded("reading a connection pool"):
                read = weak()
                state = None if read is None else read()
                if state is None:
                    self._pools.pop(weak, None)
                    continue
                value = getattr(state, field)
                if value is not None:
                    readings.append(({"pool": pool}, value))
        return readings
