"""The vocabulary every metric declaration is written in; it declares no metric and talks to no SDK."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

L = TypeVar("L", bound=Mapping[str, object])

Kind = Literal["counter", "histogram", "level", "fact"]
Source = Literal["own", "bridge"]

LEGAL_UNITS = frozenset({"s", "By", "{USD}", "min"})
_NAME = re.compile(r"[a-z][a-z0-9_]*[a-z0-9]")
_ANNOTATION_UNIT = re.compile(r"\{[a-z_]+\}")


@dataclass(frozen=True)
class Budget:
    """How many distinct values an open label may take in one process, and what bounds it in practice.

    The value after the last one becomes ``overflow``, and the overflow is counted.

    Attributes:
        limit: Distinct values kept, the overflow value not included.
        bounded_by: Where the bound comes from, for the reader of the metrics reference.
        overflow: The value that stands for all others.
    """

    limit: int
    bounded_by: str
    overflow: str = "other"


@dataclass(frozen=True)
class Label:
    """One label of a metric: a closed set of values, or an open one with a budget."""

    name: str
    values: tuple[str, ...] = ()
    budget: Budget | None = None

    @property
    def overflow(self) -> str:
        """The value that stands for everything outside the set or over the budget."""
        if self.budget is not None:
            return self.budget.overflow
        return "_OTHER" if "_OTHER" in self.values else "other"


@dataclass(frozen=True, kw_only=True, eq=False)
class Spec(Generic[L]):
    """What a metric is. Instruments, views, label clamps, docs and the golden test derive from it.

    Attributes:
        name: The documented Prometheus name, written once, in full. The OTel stream has the same name.
        help: One sentence for people.
        labels: ``TypedDict`` of the documented labels without ``environment``, in documented order.
        unit: UCUM unit or an annotation in braces; for docs only, the collector clears it.
        documented: Whether the monitoring guide lists it; others are additions of ours.
        source: ``own`` hooks or the ``bridge`` from auto-instrumentors.

    Raises:
        ValueError: If name, unit, help or a label is not legal.
    """

    name: str
    help: str
    labels: type[L]
    unit: str = ""
    documented: bool = True
    source: Source = "own"
    kind: ClassVar[Kind]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"metric name {self.name!r} is not snake_case")
        if self.unit and self.unit not in LEGAL_UNITS and not _ANNOTATION_UNIT.fullmatch(self.unit):
            raise ValueError(f"{self.name}: unit {self.unit!r} is not one of {sorted(LEGAL_UNITS)} or {{annotation}}")
        if not self.help.endswith("."):
            raise ValueError(f"{self.name}: help {self.help!r} is not a sentence")
        self.label_set()

    @property
    def label_keys(self) -> tuple[str, ...]:
        """Documented labels in documented order, without ``environment``."""
        return tuple(get_type_hints(self.labels))

    @property
    def documented_labels(self) -> tuple[str, ...]:
        """The labels a reader of the endpoint sees: the declared ones and ``environment``."""
        return (*self.label_keys, "environment")

    def label_set(self) -> tuple[Label, ...]:
        """The declared labels with their allowed values or budgets.

        Raises:
            ValueError: If a label is neither a ``Literal`` of strings nor ``Annotated[str, Budget(...)]``.
        """
        hints = get_type_hints(self.labels, include_extras=True)
        return tuple(_label(self.name, key, hint) for key, hint in hints.items())


def _label(metric: str, name: str, hint: Any) -> Label:
    if get_origin(hint) is Literal:
        return Label(name, values=tuple(get_args(hint)))
    if get_origin(hint) is Annotated:
        base, *extras = get_args(hint)
        budgets = [extra for extra in extras if isinstance(extra, Budget)]
        if base is str and len(budgets) == 1:
            return Label(name, budget=budgets[0])
    raise ValueError(f"{metric}: label {name!r} must be a Literal or Annotated[str, Budget(...)], not {hint!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class CounterSpec(Spec[L]):
    """A total that only grows; summed over all processes of the fleet."""

    kind: ClassVar[Kind] = "counter"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name.endswith("_total"):
            raise ValueError(f"counter {self.name!r} does not end in _total")


@dataclass(frozen=True, kw_only=True, eq=False)
class HistogramSpec(Spec[L]):
    """A distribution; its buckets are part of the contract and are summed over all processes.

    Attributes:
        buckets: Upper bounds, where the settings have no others.
        relied_on: Those that rules read by their value, which other buckets have to have too.
    """

    buckets: tuple[float, ...]
    relied_on: tuple[float, ...] = ()
    kind: ClassVar[Kind] = "histogram"

    def __post_init__(self) -> None:
        super().__post_init__()
        ascending = all(a < b for a, b in zip(self.buckets, self.buckets[1:], strict=False))
        if not self.buckets or not ascending or not all(type(b) is float and math.isfinite(b) for b in self.buckets):
            raise ValueError(f"{self.name}: buckets {self.buckets!r} are not ascending finite floats")


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelSpec(Spec[L]):
    """A level per process that adds up over processes and disappears with its process (up-down counter)."""

    kind: ClassVar[Kind] = "level"


@dataclass(frozen=True, kw_only=True, eq=False)
class FactSpec(Spec[L]):
    """One shared truth that any process may report; the last report wins (gauge)."""

    kind: ClassVar[Kind] = "fact"
