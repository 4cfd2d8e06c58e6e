"""Reads PromQL as a parser does and says what is wrong with it, given the series that exist; it runs nothing.

``check(expression, series_of(...))`` is for one expression; ``check_files`` of ``telemetry.testing.files`` is for whole
dashboards and rules. Needs the extra ``fleet-telemetry[testing]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import singledispatchmethod
from typing import Any

import promql_parser as promql
from promql_parser import AggModifierType, LabelModifierType, MatchOp

from telemetry.testing.series import Series

_OVER_COUNTERS = frozenset({"rate", "irate", "increase", "resets"})
_OVER_GAUGES = frozenset({"delta", "idelta", "deriv", "predict_linear"})
_KEEPS_ALL = frozenset({"topk", "bottomk", "limitk"})
_PRESENCE = frozenset({"absent", "absent_over_time"})
_SETS = frozenset({"and", "or", "unless"})
_QUOTED = r"""\"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`"""
# What Prometheus 3.16 takes behind a selector and the parser does not; inside quotes it is a value.
_RANGE_MODIFIER = re.compile(rf"({_QUOTED})|(?<=[\]}}])\s+(?:anchored|smoothed)\b")
Labels = frozenset[str]


@dataclass(frozen=True)
class Result:
    """What an expression yields.

    Attributes:
        labels: Labels its series can have; None for a scalar.
        raw_counter: Whether it is a counter's running total, which means nothing by itself.
        fixed: Whether each selector in it names one environment.
    """

    labels: Labels | None
    raw_counter: bool = False
    fixed: bool = False

    def but(self, labels: Labels | None) -> Result:
        """The same with other labels."""
        return Result(labels, self.raw_counter, self.fixed)


@dataclass
class Linter:
    """Collects what is wrong with one expression.

    Attributes:
        known: Series by name.
        may_drop_environment: For the guide's own queries, which drop it, and the namespace.
        problems: What was found, for people.
    """

    known: Mapping[str, Series]
    may_drop_environment: bool = False
    problems: list[str] = field(default_factory=list)

    def read(self, text: str) -> Result:
        """Parse and check; returns what the expression yields."""
        return self.visit(promql.parse(_RANGE_MODIFIER.sub(lambda match: match[1] or "", text)))

    @singledispatchmethod
    def visit(self, node: Any) -> Result:
        """Scalars and strings."""
        return Result(None, fixed=True)

    @visit.register
    def _(self, node: promql.ParenExpr) -> Result:
        return self.visit(node.expr)

    @visit.register
    def _(self, node: promql.UnaryExpr) -> Result:
        return self.visit(node.expr)

    @visit.register
    def _(self, node: promql.SubqueryExpr) -> Result:
        return self.visit(node.expr)

    @visit.register
    def _(self, node: promql.MatrixSelector) -> Result:
        return self.visit(node.vector_selector)

    @visit.register
    def _(self, node: promql.VectorSelector) -> Result:
        matchers = list(node.matchers.matchers)
        fixed = any(m.name == "environment" and m.op == MatchOp.Equal for m in matchers)
        if node.name is None:
            if not any(m.name == "job" for m in matchers):
                self.problems.append(f"{node} reads every series of Prometheus")
            return Result(frozenset({"__name__", "job", "instance"}), fixed=fixed)
        series = self.known.get(node.name)
        if series is None:
            meant = get_close_matches(node.name, self.known, n=1)
            hint = f": did you mean {meant[0]}?" if meant else ""
            self.problems.append(f"{node.name} is not a metric of the catalogue{hint}")
            return Result(frozenset(), fixed=fixed)
        for matcher in matchers:
            self._check_matcher(node.name, series, matcher)
        return Result(series.all_labels, series.kind != "gauge", fixed or "environment" not in series.labels)

    @visit.register
    def _(self, node: promql.Call) -> Result:
        name = node.func.name
        results = [self.visit(argument) for argument in node.args]
        vectors = [result for result in results if result.labels is not None]
        if not vectors:
            return Result(frozenset() if name == "vector" else None, fixed=True)
        inner = vectors[0]
        if name in _OVER_COUNTERS and not inner.raw_counter:
            self.problems.append(f"{name}() of something that is no counter: {node.args[-1]}")
        if name in _OVER_GAUGES and inner.raw_counter:
            self.problems.append(f"{name}() of a counter: {node.args[0]}")
        if name == "histogram_quantile":
            return self._quantile(inner)
        labels: Labels | None = inner.labels
        if name == "label_replace":
            return Result((labels or frozenset()) | {node.args[1].val}, inner.raw_counter, inner.fixed)
        if name in _PRESENCE:
            labels = frozenset()
        return Result(None if name == "scalar" else labels, inner.raw_counter and name == "clamp_min", inner.fixed)

    @visit.register
    def _(self, node: promql.AggregateExpr) -> Result:
        inner = self.visit(node.expr)
        have = inner.labels or frozenset()
        named = frozenset(node.modifier.labels) if node.modifier else frozenset()
        by = node.modifier is None or node.modifier.type == AggModifierType.By
        missing = named - have
        if missing:
            self.problems.append(f"{node.op} by labels that are not there: {', '.join(sorted(missing))}")
        kept = named if by else have - named
        loses = "environment" in have and "environment" not in kept and not inner.fixed
        if loses and not self.may_drop_environment:
            self.problems.append(f"{node.op} mixes environments: {node}")
        drops = "service_namespace" in have - kept and str(node.op) not in _KEEPS_ALL
        if drops and not self.may_drop_environment:
            self.problems.append(f"{node.op} mixes namespaces: {node}")
        return inner.but(have if str(node.op) in _KEEPS_ALL else kept)

    @visit.register
    def _(self, node: promql.BinaryExpr) -> Result:
        left, right = self.visit(node.lhs), self.visit(node.rhs)
        fixed, raw = left.fixed and right.fixed, left.raw_counter or right.raw_counter
        if left.labels is None or right.labels is None:
            return Result(left.labels if right.labels is None else right.labels, raw, fixed)
        labels = self._matched(node, left.labels, right.labels)
        operator = str(node.op)
        if operator == "or":
            return Result(left.labels | right.labels, raw, fixed)
        return Result(left.labels if operator in _SETS else labels, left.raw_counter, fixed)

    def _matched(self, node: promql.BinaryExpr, left: Labels, right: Labels) -> Labels:
        modifier = node.modifier
        matching = modifier.matching if modifier else None
        if matching is None:
            if str(node.op) != "or" and left != right:
                self.problems.append(f"sides of {node.op} differ in labels {sorted(left ^ right)}: {node}")
            return left
        on = frozenset(matching.labels)
        if matching.type != LabelModifierType.Include:
            return left - on
        if "environment" in on and "service_namespace" not in on and not self.may_drop_environment:
            self.problems.append(f"on ({', '.join(sorted(on))}) mixes namespaces: {node}")
        missing = on - (left & right)
        if missing:
            self.problems.append(f"on ({', '.join(sorted(missing))}) is not on both sides: {node}")
        card = str(modifier.card) if modifier else ""
        copied = frozenset((modifier.group_labels if modifier else None) or ())
        if card.endswith("ManyToOne"):
            return left | copied
        return right | copied if card.endswith("OneToMany") else on

    def _quantile(self, inner: Result) -> Result:
        labels = inner.labels or frozenset()
        if "le" not in labels:
            self.problems.append("histogram_quantile() of something without buckets (le)")
        if inner.raw_counter:
            self.problems.append("histogram_quantile() of totals: take their rate")
        return Result(labels - {"le"}, fixed=inner.fixed)

    def _check_matcher(self, name: str, series: Series, matcher: promql.Matcher) -> None:
        if matcher.name not in series.all_labels:
            self.problems.append(f"{name} has no label {matcher.name}")
            return
        allowed = series.values.get(matcher.name)
        if allowed is None or matcher.value in {"", ".*"}:
            return
        is_pattern = matcher.op in (MatchOp.Re, MatchOp.NotRe)
        for value in matcher.value.split("|") if is_pattern else [matcher.value]:
            pattern = value if is_pattern else re.escape(value)
            if not any(re.fullmatch(pattern, candidate) for candidate in allowed):
                self.problems.append(f"{name}: {matcher.name} is never {value}")


def check(text: str, known: Mapping[str, Series], may_drop_environment: bool = False) -> list[str]:
    """What is wrong with an expression; nothing when the list is empty."""
    linter = Linter(known, may_drop_environment)
    linter.read(text)
    return linter.problems


def labels_of(text: str, known: Mapping[str, Series]) -> Labels:
    """The labels that the series of an expression can have."""
    return Linter(known).read(text).labels or frozenset()
