"""Which regular expressions requests may be matched with: none that a path can keep busy."""

from __future__ import annotations

from time import thread_time

import pytest

from telemetry.settings.exclusions import Exclusions
from telemetry.settings.expressions import LOOKED_AT, UnusableExpressionError, compiled

SLOW = [
    "^/(a+)+$",
    "^/((a)+)+$",
    "^/(a|a)*$",
    "^/(a|aa)+$",
    "^/(?:a+){2,}$",
    "^/(?P<word>a*)*$",
    "^/(a?){30}a{30}$",
    r"^/(\w+\s?)*$",
    "^/(a{1,30}){1,30}$",
    "^/(?:(a+)/?)+x",
    "^/[a(]*(?=(a+)+x)",
    "^/.*.*.*x",
    "^/(.*)(.*)(.*)x",
    "^/a*a*a*a*b",
    "^/(?i:a*A*a*A*)b",
    "^/" + 25 * "a?" + 25 * "a",
    "^/" + 21 * "(a|a)" + "b",
    "(?x)^/ (a+)+ # )",
    "^/(?#()(a+)+x",
]
TAKEN = [
    "^/internal/",
    "^/internal/.*",
    "^.*/jobs/[0-9]{1,3}$",
    r"^/api/v[0-9]+/users/[^/]+/items/[^/]+/.*\.(js|css|map)$",
    "^/(health|live|ready|metrics|startup|version)/?$",
    r"^/(api/)?(v\d+/)?health$",
    "^/(?P<tenant>[^/]+)/admin(/.*)?$",
    "^/([^/]+/)+x$",
    "^/(?!api/)",
    "^/(?i:health)",
    r"^/\(a+\)+[(+*)]+x",
    r"^/(a+)\1+x",
]
BUSY = ["^/.*a.*x", "^/a*a*a*b", "^/(a*)(a*)a?(a*)b", "^/(?i:[a-z]*[a-z]*a?[a-z]*/x)", "^/([^/]+/)*([^/]+/)*x"]


@pytest.mark.parametrize("expression", SLOW)
def test_slow_expressions(expression: str) -> None:
    """An expression that could match a path in very many ways is refused with the remedy."""
    with pytest.raises(UnusableExpressionError, match=r"take too long for some paths \(repeat no group"):
        compiled(expression)


@pytest.mark.parametrize("expression", TAKEN)
def test_usual_expressions(expression: str) -> None:
    """What one writes to leave paths out is taken."""
    assert compiled(expression).pattern == expression


@pytest.mark.parametrize("path", ["/" + "a" * 8_000, "/" + "a/" * 4_000], ids=["segment", "segments"])
@pytest.mark.parametrize("expression", BUSY)
def test_longest_match(expression: str, path: str) -> None:
    """The worst of what is taken is done soon, however long a path is."""
    exclusions, began = Exclusions.parse([expression]), thread_time()
    assert not exclusions.cover("GET", path)
    assert thread_time() - began < 1.0


@pytest.mark.parametrize(("expression", "covers"), [("^/a", True), ("^/a+$", True), ("^/a*b", False)])
def test_long_paths(expression: str, covers: bool) -> None:
    """Expressions see the beginning of a path."""
    path = "/" + "a" * LOOKED_AT + "b"
    assert Exclusions.parse([expression]).cover("GET", path) is covers
