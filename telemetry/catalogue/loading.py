"""Finds the modules of a catalogue by their names: given in code, by a variable, or by an entry point."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from telemetry.catalogue._catalogue import Catalogue, CatalogueError

ENTRY_POINTS = "telemetry_catalogue"

Module = ModuleType | str
Modules = Iterable[Module] | Module
"""Modules that declare metrics, or their dotted names; or just one."""


def each(modules: Modules) -> list[Module]:
    """The modules, also where one is given by itself."""
    return [modules] if isinstance(modules, ModuleType | str) else list(modules)


def extended(catalogue: Catalogue, modules: Modules) -> Catalogue:
    """The catalogue with these modules.

    Raises:
        CatalogueError: If a module cannot be imported or be in the catalogue.
    """
    return catalogue.including(*map(imported, each(modules)))


def including(catalogue: Catalogue, named: Iterable[tuple[Module, str]]) -> tuple[Catalogue, list[str]]:
    """The catalogue with the modules that are named, and what is wrong with those that it cannot have.

    Args:
        catalogue: What it begins with.
        named: Modules or their dotted names, each with who names it, for the message.
    """
    wrong = []
    for module, named_by in named:
        try:
            catalogue = catalogue.including(imported(module))
        except CatalogueError as error:
            wrong.append(f"{named_by}: {error}")
    return catalogue, wrong


def imported(module: Module) -> ModuleType:
    """A module, by its dotted name where it is not at hand; where Python does not find it, from the current directory.

    Raises:
        CatalogueError: If it cannot be imported, with the reason.
    """
    if isinstance(module, ModuleType):
        return module
    try:
        with _current_directory():
            return import_module(module)
    except Exception as error:  # whatever a user's module does when it is imported
        raise CatalogueError(
            f"the module {module!r} cannot be imported ({type(error).__name__}: {error}): "
            "write its dotted name, as `import` takes it, and see that it is on Python's path"
        ) from error


@contextmanager
def _current_directory() -> Iterator[None]:
    """As servers look for applications; they add it to Python's path themselves, but only after this."""
    here = os.getcwd()  # noqa: PTH109 - as sys.path has it
    if sys.flags.safe_path or here in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def of_entry_points() -> Iterator[tuple[str, str]]:
    """The modules that installed distributions name in the group ``telemetry_catalogue``, each with who names it."""
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS):
        owner = point.dist.name if point.dist else "a distribution"
        yield point.value, f"entry point {point.name!r} of {owner} (group {ENTRY_POINTS})"
