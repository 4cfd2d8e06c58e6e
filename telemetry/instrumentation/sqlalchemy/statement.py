"""Names a statement by operation and table, from SQLAlchemy's own compiled statement; it parses no SQL but a verb."""

from __future__ import annotations

from typing import Any

from sqlalchemy.sql import CompoundSelect, Delete, Insert, Join, Select, TableClause, Update
from sqlalchemy.sql.ddl import ExecutableDDLElement

OTHER = "other"

Named = tuple[str, str]

_KEPT_AS = "_telemetry_operation_and_table"
_DEEPEST = 50
_VERBS = {
    **{verb: verb for verb in ("SELECT", "INSERT", "UPDATE", "DELETE")},
    **dict.fromkeys(("CREATE", "ALTER", "DROP", "TRUNCATE"), "DDL"),
}
_OPERATIONS: tuple[tuple[type[Any], str], ...] = (
    (Insert, "INSERT"),
    (Update, "UPDATE"),
    (Delete, "DELETE"),
    (Select, "SELECT"),
    (CompoundSelect, "SELECT"),
    (ExecutableDDLElement, "DDL"),
)


def operation_and_table(statement: str, context: Any) -> Named:
    """What a statement does to which mapped table; ``other`` where that cannot be told.

    SQLAlchemy keeps the compiled form of a statement for the next time; the answer is kept with it.

    Args:
        statement: The SQL text, for statements that SQLAlchemy did not compile.
        context: The execution context, ``None`` where there is none.
    """
    compiled = getattr(context, "compiled", None)
    if compiled is None:
        return _operation(None, statement), OTHER
    known: Named | None = compiled.__dict__.get(_KEPT_AS)
    if known is None:
        element = getattr(compiled, "statement", None)
        known = _operation(element, statement), _table(element)
        setattr(compiled, _KEPT_AS, known)
    return known


def _operation(element: Any, statement: str) -> str:
    for kind, operation in _OPERATIONS:
        if isinstance(element, kind):
            return operation
    words = _without_comments(statement).lstrip("( \n\t")[:20].split(None, 1)
    return _VERBS.get(words[0].upper(), OTHER) if words else OTHER


def _without_comments(statement: str) -> str:
    for _ in range(_DEEPEST):
        statement = statement.lstrip()
        if statement.startswith("/*"):
            statement = statement.partition("*/")[2]
        elif statement.startswith("--"):
            statement = statement.partition("\n")[2]
        else:
            break
    return statement


def _table(element: Any) -> str:
    for _ in range(_DEEPEST):
        if element is None:
            return OTHER
        if isinstance(element, TableClause):
            return str(element.name) or OTHER
        element = _towards_table(element)
    return OTHER


def _towards_table(element: Any) -> Any:
    """One step: a join counts as its left side, a union as its first part, an alias or subquery as what is in it."""
    match element:
        case Select():
            froms = element.get_final_froms()
            return froms[0] if froms else None
        case CompoundSelect():
            return element.selects[0]
        case Join():
            return element.left
    table = getattr(element, "table", None)
    return table if table is not None else getattr(element, "element", None)
