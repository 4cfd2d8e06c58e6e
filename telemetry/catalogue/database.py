"""Database metrics of the guide, section "Database Metrics"; how they are measured is in ``domains/database.py``."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from telemetry.catalogue._labels import Pool
from telemetry.catalogue._spec import Budget, CounterSpec, HistogramSpec, LevelSpec


class PoolLabels(TypedDict):
    """Which connection pool of the process."""

    pool: Pool


class QueryLabels(TypedDict):
    """What was done to which table."""

    operation: Literal["SELECT", "INSERT", "UPDATE", "DELETE", "DDL", "other"]
    table: Annotated[str, Budget(200, "tables known to SQLAlchemy's metadata; `other` for the rest")]


CONNECTIONS_ACTIVE = LevelSpec(
    name="db_connections_active",
    help="Connections checked out of the pool now.",
    labels=PoolLabels,
    unit="{connection}",
)
CONNECTIONS_IDLE = LevelSpec(
    name="db_connections_idle",
    help="Connections open and waiting in the pool now.",
    labels=PoolLabels,
    unit="{connection}",
)
QUERY_DURATION = HistogramSpec(
    name="db_query_duration_seconds",
    help="Seconds the database took to execute a statement, failed ones included.",
    labels=QueryLabels,
    unit="s",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
POOL_SIZE = LevelSpec(
    name="db_pool_size",
    help="Connections the pool keeps open at most, the overflow not included.",
    labels=PoolLabels,
    unit="{connection}",
    documented=False,
)
POOL_OVERFLOW = LevelSpec(
    name="db_pool_overflow",
    help="Connections open beyond the size of the pool now.",
    labels=PoolLabels,
    unit="{connection}",
    documented=False,
)
POOL_CHECKOUT = HistogramSpec(
    name="db_pool_checkout_seconds",
    help="Seconds until the pool handed a connection out, waiting for a free one and connecting included.",
    labels=PoolLabels,
    unit="s",
    buckets=(0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0),
    documented=False,
)
POOL_TIMEOUTS = CounterSpec(
    name="db_pool_timeouts_total",
    help="Requests for a connection that gave up because none became free in time.",
    labels=PoolLabels,
    unit="{request}",
    documented=False,
)
