"""Reads a file of objectives, and says everything that is wrong with it at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from telemetry.catalogue import Catalogue, HistogramSpec, http
from telemetry.objectives import indicators
from telemetry.objectives.declared import LEAST_EVENTS, WINDOW, Objective
from telemetry.objectives.entry import Entry
from telemetry.objectives.indicators import Indicator
from telemetry.testing.promql import check
from telemetry.testing.series import OF_OTHERS, Series, of_catalogue

Buckets = Mapping[str, tuple[float, ...]]
_COUNTERS_OF_A_RATIO = 2
_NOTHING = "x"  # in place of a metric that cannot be read, so that what else is wrong is found, too
_GENERAL = ("name", "promise", "target", "window", "indicator", "selector", "least_events", "remedy")
_OF_OTHER_TOOLS = {
    "apiVersion": "OpenSLO or Pyrra",
    "slos": "Sloth",
}


class ObjectivesError(ValueError):
    """A file of objectives cannot be used; the message has a sentence for each reason."""


@dataclass(frozen=True)
class Known:
    """What is known of metrics.

    Attributes:
        catalogue: What is declared.
        buckets: Buckets of histograms that are other than declared.
    """

    catalogue: Catalogue
    buckets: Buckets = field(default_factory=dict)

    def bounds(self, histogram: str) -> Sequence[float]:
        """Those of a histogram; none where it is not known."""
        declared = [
            spec.buckets for spec in self.catalogue.specs if isinstance(spec, HistogramSpec) and spec.name == histogram
        ]
        return self.buckets.get(histogram) or (declared[0] if declared else ())

    def series(self) -> dict[str, Series]:
        """All, as the linter knows them; bounds are checked by themselves."""
        found = of_catalogue(self.catalogue) | OF_OTHERS
        return {name: replace(series, values=_without_le(series.values)) for name, series in found.items()}


@dataclass(frozen=True)
class Objectives:
    """What a file declares.

    Attributes:
        declared: The objectives.
        notes: What may be wrong and cannot be told.
    """

    declared: tuple[Objective, ...]
    notes: tuple[str, ...] = ()


def read(path: Path, known: Known, where: str = "") -> Objectives:
    """Read a file.

    Args:
        path: The file.
        known: What is known of metrics.
        where: What runbooks call the file; its name where nothing is given.

    Raises:
        ObjectivesError: If anything in it cannot be used.
        OSError: If it cannot be read.
    """
    problems: list[str] = []
    entries = _entries(path)
    objectives = [_objective(number, values, known, problems) for number, values in enumerate(entries, 1)]
    problems += _twice(objectives)
    notes, wrong = _checked(objectives, known.series())
    if problems or wrong:
        raise ObjectivesError("\n".join(f"{path}: {problem}" for problem in [*problems, *wrong]))
    return Objectives(tuple(replace(each, where=where or path.name) for each in objectives), tuple(notes))


def _entries(path: Path) -> list[Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ObjectivesError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    keys = set(content) if isinstance(content, dict) else set()
    for key in keys & set(_OF_OTHER_TOOLS):
        raise ObjectivesError(
            f"{path} has `{key}` and seems to be a file of {_OF_OTHER_TOOLS[key]}, which is not read: write its "
            "objectives under `objectives:` with name, target, window and indicator; docs/objectives.md has an example"
        )
    entries = content.get("objectives") if isinstance(content, dict) else None
    if keys != {"objectives"} or not isinstance(entries, list) or not entries:
        raise ObjectivesError(
            f"{path} has {', '.join(f'`{key}`' for key in sorted(map(str, keys))) or 'no keys'} at its top: write "
            "`objectives:`, and below it a list of at least one objective; docs/objectives.md has an example"
        )
    return entries


def _objective(number: int, values: Any, known: Known, problems: list[str]) -> Objective:
    if not isinstance(values, dict):
        problems.append(
            f"objective {number}: {values!r} is no objective: write name, target and indicator below a dash"
        )
        values = {"name": f"objective_{number}", "target": 50, "indicator": "task_success"}
    named = f"objective {number}" + (f" ({values['name']})" if values.get("name") else "")
    entry = Entry(named, values, problems)
    chosen = entry.one_of("indicator", _KINDS)
    kind = _KINDS[chosen or "task_success"]
    if chosen:
        entry.only((*_GENERAL, *kind.keys))
    indicator, promise = kind.made(entry, known)
    return Objective(
        name=entry.name("name"),
        promise=entry.text("promise") or promise,
        target=entry.percent("target"),
        indicator=indicator,
        window=entry.days("window", WINDOW),
        least_events=entry.count("least_events", LEAST_EVENTS),
        remedy=entry.text("remedy"),
    )


# --- kinds of indicators ----------------------------------------------------------------------------------------------

Made = tuple[Indicator, str]


@dataclass(frozen=True)
class _Kind:
    made: Callable[[Entry, Known], Made]
    keys: tuple[str, ...] = ()


def _http_availability(entry: Entry, _: Known) -> Made:
    indicator = indicators.http_availability(entry.matchers("selector"))
    return indicator, "requests are answered without a server error, health probes not counted"


def _http_latency(entry: Entry, known: Known) -> Made:
    within = _within(entry, http.DURATION.name, known)
    promise = f"requests are answered within {within:g} s, streamed replies not counted"
    return indicators.http_latency(entry.matchers("selector"), within), promise


def _task_success(entry: Entry, _: Known) -> Made:
    return indicators.task_success(entry.matchers("selector")), "tasks end well"


def _latency(entry: Entry, known: Known) -> Made:
    named, _, inside = entry.series("histogram").partition("{")
    histogram = named.removesuffix("_bucket")
    within = _within(entry, histogram, known)
    matchers = (inside.removesuffix("}"), entry.matchers("selector"))
    return indicators.of_latency(histogram or _NOTHING, within, matchers), f"{histogram} are at most {within:g}"


def _ratio(entry: Entry, _: Known) -> Made:
    given = [key for key in ("good", "bad", "total") if entry.has(key)]
    if len(given) != _COUNTERS_OF_A_RATIO:
        said = (
            f"{len(given)} of `good`, `bad` and `total` are there" if given else "`good`, `bad` and `total` are missing"
        )
        entry.wrong("indicator", f"needs two counters, and {said}: name two of them")
        return indicators.of_bad(_NOTHING, _NOTHING), ""
    first, second = (entry.series(key, entry.matchers("selector")) or _NOTHING for key in given)
    if given == ["good", "bad"]:
        return indicators.of_both(first, second), f"{first} and {second} are good"
    made = indicators.of_good if given[0] == "good" else indicators.of_bad
    return made(first, second), f"{second} are good"


def _within(entry: Entry, histogram: str, known: Known) -> float:
    within, bounds = entry.seconds("within"), known.bounds(histogram)
    if bounds and within not in bounds:
        shown = ", ".join(f"{each:g}" for each in bounds)
        entry.wrong("within", f"is no bound of the buckets of {histogram}: take one of {shown}")
    return within


_KINDS: Mapping[str, _Kind] = {
    "http_availability": _Kind(_http_availability),
    "http_latency": _Kind(_http_latency, ("within",)),
    "task_success": _Kind(_task_success),
    "latency": _Kind(_latency, ("histogram", "within")),
    "ratio": _Kind(_ratio, ("good", "bad", "total")),
}


# --- all of them together ---------------------------------------------------------------------------------------------


def _twice(objectives: Sequence[Objective]) -> Iterator[str]:
    alerts: dict[str, int] = {}
    for number, objective in enumerate(objectives, 1):
        first = alerts.setdefault(objective.alert, number)
        if first != number:
            yield f"objective {number}: name: {objective.name!r} is that of objective {first}: give each its own"


def _checked(objectives: Sequence[Objective], known: dict[str, Series]) -> tuple[list[str], list[str]]:
    """Notes on metrics that nobody has declared, and what is wrong with the others."""
    notes, wrong = [], []
    for number, objective in enumerate(objectives, 1):
        for selector in objective.indicator.metrics:
            where, name = f"objective {number} ({objective.name})", selector.partition("{")[0]
            if name in known:
                wrong += [f"{where}: {problem}" for problem in _misread(selector, name, known)]
            elif name != _NOTHING:
                notes.append(f"{where}: {name} is in no catalogue that is known here{_close(name, known)}")
    return list(dict.fromkeys(notes)), list(dict.fromkeys(wrong))


def _misread(selector: str, name: str, known: Mapping[str, Series]) -> list[str]:
    if known[name].kind == "gauge":
        return [f"{name} is no counter: its events cannot be counted; name a counter"]
    labels = ", ".join(sorted(known[name].all_labels - {"le"}))
    problems = check(f"rate({selector}[5m])", known, may_drop_environment=True)
    return [f"{problem}; its labels are {labels}" if "has no label" in problem else problem for problem in problems]


def _without_le(values: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {label: of_it for label, of_it in values.items() if label != "le"}


def _close(name: str, known: Mapping[str, Series]) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.8)
    return f"; is {close[0]} meant?" if close else ""
