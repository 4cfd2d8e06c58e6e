"""Records connection pools and queries; declared in ``catalogue/database.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from telemetry.catalogue import database as catalogue
from telemetry.catalogue.database import QueryLabels
from telemetry.domains.errors import ErrorsRecorder
from telemetry.instruments import Instruments


class DatabaseRecorder:
    """Queries as they end, and pools as they stand at collection."""

    def __init__(self, instruments: Instruments, errors: ErrorsRecorder) -> None:
        self._active = instruments.level(catalogue.CONNECTIONS_ACTIVE)
        self._idle = instruments.level(catalogue.CONNECTIONS_IDLE)
        self._queries = instruments.histogram(catalogue.QUERY_DURATION)
        self._errors = errors

    def query_executed(self, operation: str, table: str, seconds: float) -> None:
        """The database executed a statement, or refused it.

        Args:
            operation: ``SELECT``, ``INSERT``, ``UPDATE``, ``DELETE``, ``DDL``; anything else counts as ``other``.
            table: Mapped table, or ``other``.
            seconds: How long the database took.
        """
        self._queries.record(seconds, cast("QueryLabels", {"operation": operation, "table": table}))

    def read_pool_from(self, pool: str, active: Callable[[], int], idle: Callable[[], int]) -> None:
        """Read the state of a connection pool at each collection.

        Args:
            pool: Name of the pool.
            active: Connections checked out.
            idle: Connections open and not checked out.
        """
        self._active.read_from(lambda: [({"pool": pool}, active())])
        self._idle.read_from(lambda: [({"pool": pool}, idle())])
