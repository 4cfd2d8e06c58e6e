"""The vocabulary every metric declaration is written in; it declares no metric and talks to no SDK."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

L = TypeVar("L", bound=Mapping[str, object])

Kind = Literal["counter", "histogram", "level", "fact"]
Source = Literal["own", "bridge"]

LEGAL_UNITS = frozenset({"s", "By", "{USD}", "min"})
MOST_VALUE_CHARACTERS = 200
# One underscore at a time: a collector folds several into one.
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# What Prometheus and collectors call their own: beside these, a metric of the same name would be read as one of theirs.
_OTHERS_METRICS = re.compile(
    r"up|target_info|otel_scope_info|(scrape|otelcol|fleet_totals|fleet_levels|fleet_prometheus)_.*"
)
_OTHERS_LABELS = re.compile(
    r"environment|service_namespace|instance|job|le|quantile|(otel|exported|deployment|service|telemetry)_.*"
)
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

    def __post_init__(self) -> None:
        if type(self.limit) is not int or self.limit < 1:
            raise ValueError(f"a budget of {self.limit!r} values is none: write it as a whole number from 1 on")
        if not self.bounded_by or not _is_value(self.overflow):
            raise ValueError(f"a budget says what bounds it and what stands for the rest, in printable text: {self!r}")


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
        ValueError: If name, unit, help or a label is not legal, saying which and the remedy.
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
            raise ValueError(f"metric name {self.name!r} is not snake_case with single underscores")
        if _OTHERS_METRICS.fullmatch(self.name):
            raise ValueError(f"metric name {self.name!r} is one that Prometheus or a collector uses: choose another")
        if self.kind != "counter" and self.name.endswith("_total"):
            raise ValueError(f"{self.kind} {self.name!r} ends in _total, which says counter: choose another name")
        if self.unit and self.unit not in LEGAL_UNITS and not _ANNOTATION_UNIT.fullmatch(self.unit):
            raise ValueError(f"{self.name}: unit {self.unit!r} is not one of {sorted(LEGAL_UNITS)} or {{annotation}}")
        if not self.help.endswith("."):
            raise ValueError(f"{self.name}: help {self.help!r} is not a sentence")
        self.label_set()

    @property
    def label_keys(self) -> tuple[str, ...]:
        """Documented labels in documented order, without ``environment``."""
        return tuple(self._hints())

    @property
    def documented_labels(self) -> tuple[str, ...]:
        """The labels a reader of the endpoint sees: the declared ones and ``environment``."""
        return (*self.label_keys, "environment")

    def label_set(self) -> tuple[Label, ...]:
        """The declared labels with their allowed values or budgets.

        Raises:
            ValueError: If a label is no ``Literal`` or ``Enum`` of strings and not ``Annotated[str, Budget(...)]``, or
                has a name or value that cannot be.
        """
        return tuple(_label(self.name, key, hint) for key, hint in self._hints().items())

    def _hints(self) -> dict[str, Any]:
        try:
            return get_type_hints(self.labels, include_extras=True)
        except NameError as error:
            raise ValueError(
                f"{self.name}: its labels {self.labels.__name__} use {error.name!r}, which is not defined in their "
                "module: define label types at the top of the module, before the metric"
            ) from error

    def page_names(self) -> frozenset[str]:
        """Every name it takes on a Prometheus page, in the text format or in OpenMetrics."""
        return frozenset({self.name})

    def is_same_as(self, other: Spec[Any]) -> bool:
        """Whether both declare one metric, word for word, as a module does that is imported twice."""
        return self is other or self._declared() == other._declared()

    def _declared(self) -> tuple[object, ...]:
        return self.kind, self.name, self.help, self.unit, self.label_set()


def _label(metric: str, name: str, hint: Any) -> Label:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{metric}: label {name!r} is not snake_case with single underscores")
    if _OTHERS_LABELS.fullmatch(name):
        raise ValueError(f"{metric}: label {name!r} is one that a collector or Prometheus adds: choose another name")
    if get_origin(hint) is Literal:
        return Label(name, values=_values(metric, name, get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, str) and issubclass(hint, Enum):
        return Label(name, values=_values(metric, name, tuple(member.value for member in hint)))
    if get_origin(hint) is Annotated:
        base, *extras = get_args(hint)
        budgets = [extra for extra in extras if isinstance(extra, Budget)]
        if base is str and len(budgets) == 1:
            return Label(name, budget=budgets[0])
    raise ValueError(
        f"{metric}: label {name!r} must be a Literal or an Enum of strings or Annotated[str, Budget(...)], not {hint!r}"
    )


def _values(metric: str, label: str, values: tuple[Any, ...]) -> tuple[str, ...]:
    wrong = [value for value in values if not _is_value(value)]
    if wrong or not values:
        raise ValueError(
            f"{metric}: label {label!r} cannot have the value {', '.join(map(repr, wrong)) or 'none'}: write it as "
            f"printable text of 1 to {MOST_VALUE_CHARACTERS} characters"
        )
    return values


def _is_value(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MOST_VALUE_CHARACTERS and value.isprintable()


@dataclass(frozen=True, kw_only=True, eq=False)
class CounterSpec(Spec[L]):
    """A total that only grows; summed over all processes of the fleet."""

    kind: ClassVar[Kind] = "counter"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name.endswith("_total"):
            raise ValueError(f"counter {self.name!r} does not end in _total")

    def page_names(self) -> frozenset[str]:
        """Its name with and without ``_total``, and the one of the time it began."""
        base = self.name.removesuffix("_total")
        return frozenset({self.name, base, f"{base}_created"})


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

    def page_names(self) -> frozenset[str]:
        """Its name, and those of its parts."""
        return frozenset({self.name, *(f"{self.name}_{part}" for part in ("bucket", "count", "sum", "created"))})

    def _declared(self) -> tuple[object, ...]:
        return (*super()._declared(), self.buckets, self.relied_on)


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelSpec(Spec[L]):
    """A level per process that adds up over processes and disappears with its process (up-down counter)."""

    kind: ClassVar[Kind] = "level"


@dataclass(frozen=True, kw_only=True, eq=False)
class FactSpec(Spec[L]):
    """One shared truth that any process may report; the last report wins (gauge)."""

    kind: ClassVar[Kind] = "fact"
