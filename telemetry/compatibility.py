"""Whether the installed libraries have what the hooks rely on in them: ``python -m telemetry check``.

The hooks check the same when they are installed; this tells it before, for every library at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pkgutil import iter_modules

from telemetry import instrumentation
from telemetry.instrumentation.assumptions import Assumption


@dataclass(frozen=True)
class Room:
    """What the hooks on one library rely on.

    Attributes:
        name: Of its folder in ``telemetry/instrumentation/``.
        libraries: The installed ones of those that it relies on, with their versions.
        absent: Those that are not installed, of which nothing can be said.
        assumptions: What it relies on in the installed ones.
    """

    name: str
    libraries: tuple[str, ...]
    absent: tuple[str, ...]
    assumptions: tuple[Assumption, ...]

    def broken(self) -> list[Assumption]:
        """What the installed versions do not have."""
        return [assumption for assumption in self.assumptions if not assumption.holds()]


def rooms(*, is_asked: Callable[[str], bool] = lambda top: True) -> Iterator[Room]:
    """Every folder of hooks that lists what it relies on, in alphabetical order.

    A folder whose own library is not installed, so that its list cannot be imported, is left out.

    Args:
        is_asked: Whether a top-level package is asked about; others count as absent.
    """
    for module in iter_modules(instrumentation.__path__):
        name = f"{instrumentation.__name__}.{module.name}.assumptions"
        if module.ispkg and find_spec(name):
            try:
                listed = _listed(name)
            except ModuleNotFoundError as error:
                if error.name and _is_installed(_top(error.name)):  # the library is there, a part of it is not
                    raise
                continue
            yield _room(module.name, listed, is_asked)


def _listed(module: str) -> list[Assumption]:
    """Every assumption of every tuple of a module, once.

    Raises:
        ModuleNotFoundError: If the module imports what is not there.
    """
    tuples = [value for value in vars(import_module(module)).values() if isinstance(value, tuple)]
    return list(dict.fromkeys(item for items in tuples for item in items if isinstance(item, Assumption)))


def _room(name: str, listed: list[Assumption], is_asked: Callable[[str], bool]) -> Room:
    tops = dict.fromkeys(_top(assumption.owner) for assumption in listed)
    present = [top for top in tops if is_asked(top) and _is_installed(top)]
    return Room(
        name=name,
        libraries=tuple(filter(None, map(_distribution, present))),
        absent=tuple(top for top in tops if top not in present),
        assumptions=tuple(assumption for assumption in listed if _top(assumption.owner) in present),
    )


def _is_installed(top: str) -> bool:
    """``find_spec`` raises for a module that is imported and has replaced itself, as Celery does."""
    return top in sys.modules or find_spec(top) is not None


def _top(owner: str) -> str:
    return owner.partition(":")[0].partition(".")[0]


def _distribution(top: str) -> str:
    """Name and version of what installs a package; nothing where that is Python, or many share it."""
    names = set(_distributions().get(top, ()))
    return " ".join(f"{name} {version(name)}" for name in names) if len(names) == 1 else ""


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Reading what every distribution installs takes a tenth of a second."""
    return packages_distributions()


def report(rooms: list[Room]) -> list[str]:
    """A line for each room, and one for each assumption that does not hold."""
    return [line for room in rooms for line in _lines(room)]


def _lines(room: Room) -> Iterator[str]:
    broken = room.broken()
    held = f"{len(room.assumptions) - len(broken)} of {len(room.assumptions)} assumptions hold"
    versions = [*room.libraries, *(f"{library} is not installed" for library in room.absent)]
    yield f"{room.name}: {held}" + (f" ({', '.join(versions)})" if versions else "")
    for assumption in broken:
        yield f"  broken: {assumption.owner} has no {assumption.attribute}"
