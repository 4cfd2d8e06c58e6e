"""The metrics that a process counts by: those of modules that declare some, ours and a user's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from telemetry.catalogue._spec import Spec


class CatalogueError(ValueError):
    """A module or a metric that cannot be in the catalogue; the message says which, why and the remedy."""


@dataclass(frozen=True)
class Catalogue:
    """The declarations of modules, in the order of the modules and of each module's lines.

    Attributes:
        modules: Where metrics are declared.

    Raises:
        CatalogueError: If a module declares none, or two of them declare different metrics that take one name.
    """

    modules: tuple[ModuleType, ...] = ()

    def __post_init__(self) -> None:
        taken: dict[str, tuple[Spec[Any], str]] = {}
        for module in self.modules:
            for where, spec in declared_in(module):
                for name in spec.page_names():
                    other, place = taken.setdefault(name, (spec, where))
                    if not spec.is_same_as(other):
                        raise CatalogueError(_clash(spec, where, other, place))

    @cached_property
    def by_name(self) -> Mapping[str, Spec[Any]]:
        """Every metric by its name, in declared order."""
        found: dict[str, Spec[Any]] = {}
        for module in self.modules:
            for _, spec in declared_in(module):
                found.setdefault(spec.name, spec)
        return found

    @property
    def specs(self) -> tuple[Spec[Any], ...]:
        """Every metric, in declared order."""
        return tuple(self.by_name.values())

    @property
    def documented(self) -> tuple[Spec[Any], ...]:
        """Those that a reader of the reference looks for first; of ours, those that the monitoring guide lists."""
        return tuple(spec for spec in self.specs if spec.documented)

    def including(self, *modules: ModuleType) -> Catalogue:
        """The same with more modules; one that is in it already is not in it twice.

        Raises:
            CatalogueError: As the catalogue itself.
        """
        return Catalogue(tuple(dict.fromkeys((*self.modules, *modules))))


def declared_in(module: ModuleType) -> Iterator[tuple[str, Spec[Any]]]:
    """The metrics of a module, each with where it is declared.

    Raises:
        CatalogueError: If there is none.
    """
    found = [(f"{module.__name__}.{name}", value) for name, value in vars(module).items() if isinstance(value, Spec)]
    if not found:
        raise CatalogueError(
            f"the module {module.__name__} declares no metric: write one as a variable of it, "
            "`ORDERS = CounterSpec(...)` of telemetry.catalogue"
        )
    yield from found


def _clash(spec: Spec[Any], where: str, other: Spec[Any], place: str) -> str:
    shared = ", ".join(sorted(spec.page_names() & other.page_names()))
    named = spec.name if spec.name == other.name else f"{spec.name} and {other.name}"
    return (
        f"{named}: {where} and {place} declare different metrics that both take the name {shared} in Prometheus: "
        "rename one of them"
    )
