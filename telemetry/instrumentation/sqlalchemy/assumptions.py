"""What the hooks rely on in SQLAlchemy beyond its documentation, and what becomes of a miss."""

from __future__ import annotations

import sqlalchemy

from telemetry.instrumentation.assumptions import Assumption, check

TO_THE_DRIVER = ("do_execute", "do_executemany", "do_execute_no_params")

STATEMENTS = tuple(Assumption("sqlalchemy.engine.default:DefaultDialect", name) for name in TO_THE_DRIVER)
FIRST_LOOK = (Assumption("sqlalchemy.engine.base:Connection", "_allow_autobegin"),)
CHECKOUTS = (Assumption("sqlalchemy.pool:Pool", "connect"), Assumption("sqlalchemy.pool:Pool", "recreate"))
IDLE = (
    Assumption("sqlalchemy.pool:QueuePool", "_pool"),
    Assumption("sqlalchemy.util.queue:Queue", "queue"),
    Assumption("sqlalchemy.util.queue:AsyncAdaptedQueue", "_queue"),
)
OPTIONS = (Assumption("sqlalchemy.engine.base:OptionEngineMixin", "_proxied"),)


def statements_pass_the_dialect() -> bool:
    """Whether statements can be timed where the dialect hands them to the driver; else by the engine's events."""
    _check(FIRST_LOOK, "what SQLAlchemy asks a server when it first connects is counted as queries")
    _check(OPTIONS, "an engine made by execution_options() is measured as one of its own")
    return _check(STATEMENTS, "queries are timed by the engine's events, at five times the cost")


def checkouts_pass_the_pool() -> bool:
    """Whether checkouts can be timed."""
    _check(IDLE, "a place in a pool whose connection is gone counts as an idle connection")
    return _check(CHECKOUTS, "checkouts from connection pools are not timed, and pools made by dispose() not followed")


def _check(assumptions: tuple[Assumption, ...], consequence: str) -> bool:
    return check(f"sqlalchemy {sqlalchemy.__version__}", assumptions, consequence)
