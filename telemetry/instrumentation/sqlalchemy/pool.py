"""Reads connection pools as they stand, and times how long a connection takes to come out of one."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, NullPool, Pool, event
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from telemetry import guard
from telemetry.domains.database import DatabaseRecorder, PoolState
from telemetry.instrumentation.handle import ABSENT, put_back


class ObservedPool:
    """The pool of one engine, whichever it is: ``dispose()`` replaces it.

    It lives as long as the engine: the pool refers to it, and recorders do so weakly.

    Args:
        engine: Whose pool is read.
        recorder: Gives the recorder of the calling process.
        name: The ``pool`` label.
        times_checkouts: Whether the ways out of the pool are replaced until ``close()``.
    """

    def __init__(
        self, engine: Engine, recorder: Callable[[], DatabaseRecorder], name: str, *, times_checkouts: bool = True
    ) -> None:
        self._engine = weakref.ref(engine)
        self._recorder = recorder
        self._name = name
        self._closed = False
        self._times_checkouts = times_checkouts
        self._known_to: weakref.ref[DatabaseRecorder] | None = None
        self._checked_out: weakref.WeakSet[Any] = weakref.WeakSet()
        self._observe(engine.pool)
        self._introduce()

    def close(self) -> None:
        """Read the pool no more, and put back what nobody else has replaced since."""
        self._closed = True
        engine = self._engine()
        if engine is None:
            return
        for name in ("connect", "recreate"):
            ours: Any = vars(engine.pool).get(name)
            if getattr(ours, "observed_by", None) is self:
                put_back(engine.pool, name, ours, ours.before)
        for name, listener in self._listeners():
            if event.contains(engine.pool, name, listener):
                event.remove(engine.pool, name, listener)

    def _introduce(self) -> DatabaseRecorder:
        """Make sure that the recorder reads this pool; ``configure()`` may come after the engine."""
        recorder = self._recorder()
        if self._known_to is None or self._known_to() is not recorder:
            self._known_to = weakref.ref(recorder)
            recorder.read_pool_from(self._name, self.state)
        return recorder

    def _listeners(self) -> Iterable[tuple[str, Callable[..., None]]]:
        return ("checkout", self._left), ("checkin", self._came_back), ("detach", self._came_back)

    def _observe(self, pool: Pool) -> None:
        if not hasattr(pool, "checkedout") and not event.contains(pool, "checkout", self._left):
            for name, listener in self._listeners():  # a recreated pool inherits these
                event.listen(pool, name, listener)
        if self._times_checkouts:
            self._time(pool)

    def _time(self, pool: Pool) -> None:
        connect, recreate = pool.connect, pool.recreate

        def timed() -> Any:
            if self._closed:
                return connect()
            began = perf_counter()
            try:
                connection = connect()
            except PoolTimeoutError:
                self._timed_out(perf_counter() - began)
                raise
            self._handed_out(perf_counter() - began)
            return connection

        def recreated() -> Pool:
            made = recreate()
            if not self._closed:
                with guard.guarded("following an engine to its new pool"):
                    self._observe(made)
            return made

        timed.observed_by = recreated.observed_by = self  # type: ignore[attr-defined]
        timed.before, recreated.before = (vars(pool).get(name, ABSENT) for name in ("connect", "recreate"))  # type: ignore[attr-defined]
        pool.connect = timed  # type: ignore[method-assign]
        pool.recreate = recreated  # type: ignore[method-assign]

    def _handed_out(self, seconds: float) -> None:
        try:
            self._introduce().connection_handed_out(self._name, seconds)
        except Exception as error:
            guard.swallow(error, "timing a pool")

    def _timed_out(self, seconds: float) -> None:
        with guard.guarded("counting a pool's time-out"):
            recorder = self._introduce()
            recorder.connection_handed_out(self._name, seconds)
            recorder.pool_timed_out(self._name)

    def _left(self, dbapi_connection: Any, record: Any, proxy: Any) -> None:
        self._checked_out.add(record)

    def _came_back(self, dbapi_connection: Any, record: Any) -> None:
        self._checked_out.discard(record)

    def state(self) -> PoolState | None:
        """The pool as it stands; ``None`` once the engine is gone or not measured any more."""
        engine = None if self._closed else self._engine()
        return None if engine is None else self._state(engine.pool)

    def _state(self, pool: Pool) -> PoolState:
        if isinstance(pool, QueuePool):
            return PoolState(
                active=pool.checkedout(), idle=_idle(pool), size=pool.size(), overflow=max(0, pool.overflow())
            )
        idle = 0 if isinstance(pool, NullPool) else None
        return PoolState(active=len(self._checked_out), idle=idle)


def _idle(pool: QueuePool) -> int:
    """Open connections in the queue; places whose connection was detached or invalidated wait there too."""
    queue: Any = getattr(pool, "_pool", None)
    places = getattr(queue, "queue", None)
    if places is None:
        places = getattr(getattr(queue, "_queue", None), "_queue", None)
    if places is None:
        return pool.checkedin()
    return sum(place.dbapi_connection is not None for place in list(places))
