"""What hooks rely on in a library beyond its documentation, checked once, when a hook is installed.

Each room lists its own beside the hook that relies on it; a miss is one log line and one counted error, and the hook
takes its next best source.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

from telemetry.process import current, get

_logger = logging.getLogger("telemetry")
_ABSENT = object()


class Assumption(NamedTuple):
    """Something of a library that a hook relies on.

    Attributes:
        owner: A module, or ``module:Class`` or ``module:function``.
        attribute: What it has to have, as its attribute, its annotation, something its constructor sets or a parameter.
    """

    owner: str
    attribute: str

    def holds(self) -> bool:
        """Whether the installed version has it."""
        try:
            owner = _resolve(self.owner)
        except (ImportError, AttributeError):
            return False
        if getattr(owner, self.attribute, _ABSENT) is not _ABSENT:
            return True
        kinds = getattr(owner, "__mro__", ())
        return self.attribute in _names(owner) or any(
            self.attribute in getattr(kind, "__annotations__", {}) or self.attribute in _names(kind.__init__)
            for kind in kinds
        )


class MissingAssumptionError(Exception):
    """A library does not have what a hook relies on."""


def _names(function: Any) -> tuple[str, ...]:
    """Parameters of a function and the attributes it touches, of the innermost where it is wrapped, as by our hooks."""
    try:
        code = getattr(inspect.unwrap(function), "__code__", None)
    except ValueError:  # wrappers in a circle
        return ()
    return () if code is None else (*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], *code.co_names)


def _resolve(owner: str) -> Any:
    module, _, path = owner.partition(":")
    found: Any = import_module(module)
    for name in filter(None, path.split(".")):
        found = getattr(found, name)
    return found


def check(library: str, assumptions: Iterable[Assumption], consequence: str) -> bool:
    """Whether all of them hold; what does not is said once, with what becomes of it.

    Args:
        library: The name and version of the library, for the log.
        assumptions: What the hook relies on.
        consequence: What is measured instead, or is not measured.
    """
    broken = [assumption for assumption in assumptions if not assumption.holds()]
    news = [assumption for assumption in broken if assumption not in current.told]
    if news:
        current.told.update(news)
        names = ", ".join(f"{assumption.owner}.{assumption.attribute}" for assumption in news)
        _logger.error("telemetry: %s has no %s: %s", library, names, consequence)
        get().errors.occurred(MissingAssumptionError(names), component="telemetry")
    return not broken
