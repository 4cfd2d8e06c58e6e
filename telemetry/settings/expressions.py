"""Regular expressions that requests are matched with: only those that no path, however made, keeps busy for long.

Python tries one way after the other in which an expression may match, and the sender of a request chooses the path. So
expressions see the beginning of a path, and those that may match it in too many ways are refused.
"""

from __future__ import annotations

import re
from itertools import dropwhile
from math import inf, prod

LOOKED_AT = 256
"""Characters of a path that an expression sees."""

_MOST_WAYS = 3 * LOOKED_AT**2  # some 0.1 s where every one is tried, for expressions nobody would write
_SIMPLER = "repeat no group that has *, +, ?, {} or | in it, and have at most two of .* and its like in one expression"

_PIECE = re.compile(
    r"""\\(?:x..|u....|.)             # an escape
    | \[\^?\]?(?:\\.|[^\]\\])*\]      # a set of characters
    | (?:[*+?]|\{\d+\}|\{\d*,\d*\})[?+]?  # a quantifier, also lazy or possessive
    | \(\??                           # the beginning of a group
    | .""",
    re.DOTALL | re.VERBOSE,
)
_QUANTIFIER = re.compile(r"(?:[*+?]|\{(?P<least>\d*)(?P<range>,?)(?P<most>\d*)\})[?+]?")
_FLAGS = (re.NOFLAG, re.IGNORECASE | re.DOTALL)


class UnusableExpressionError(ValueError):
    """A text is no regular expression, or one that could take too long; the message continues a sentence about it."""


def compiled(expression: str) -> re.Pattern[str]:
    """A regular expression that is ready to be matched with the first ``LOOKED_AT`` characters of a path.

    Raises:
        UnusableExpressionError: With the remedy.
    """
    try:
        pattern = re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnusableExpressionError(f"is no regular expression ({error})") from error
    if _ways(_PIECE.findall(expression)) > _MOST_WAYS:
        raise UnusableExpressionError(f"could take too long for some paths ({_SIMPLER})")
    return pattern


def _ways(pieces: list[str]) -> float:
    """In how many ways an expression may match one path, at most; infinite where they double with every character."""
    groups: list[tuple[float, float]] = [(0, 1)]  # the ways of finished branches, and of the one that is read
    inner: float = 1  # the ways of what was read last, which a quantifier may repeat
    for at, piece in enumerate(pieces):
        finished, current = groups[-1]
        if piece.startswith("("):
            groups.append((0, 1))
        elif piece == "|":
            groups[-1] = finished + current, 1
        elif piece == ")" and len(groups) > 1:
            inner = finished + current
            groups.pop()
            groups[-1] = groups[-1][0], groups[-1][1] * inner
        elif quantifier := _QUANTIFIER.fullmatch(piece):
            groups[-1] = finished, current * _ways_to_repeat(quantifier, pieces[at - 1], pieces[at + 1 :], inner)
        else:
            inner = 1
    return prod(map(sum, groups))  # one, but for brackets in comments


def _ways_to_repeat(quantifier: re.Match[str], repeated: str, rest: list[str], inner: float) -> float:
    """How many numbers of repetitions may have to be tried."""
    if quantifier[0].startswith("?"):
        return 2
    if inner > 1:
        return inf
    if _ends_at_one_place(repeated, rest):
        return 1
    if quantifier["least"] is None or (quantifier["range"] and not quantifier["most"]):
        return LOOKED_AT
    least = int(quantifier["least"] or 0)
    return min(LOOKED_AT, int(quantifier["most"] or least) - least + 1)


def _ends_at_one_place(repeated: str, rest: list[str]) -> bool:
    """Whether what follows can begin only where the repetition can go no further, as ``/`` behind ``[^/]+``."""
    following = list(dropwhile(")".__eq__, rest))
    if not following or following[0] == "$":
        return repeated != ")"
    optional = len(following) > 1 and _QUANTIFIER.fullmatch(following[1])
    character = _character(following[0])
    return not optional and character is not None and not _may_be(repeated, character)


def _character(piece: str) -> str | None:
    """The one character that a piece stands for; ``None`` for all others."""
    if len(piece) == 1:
        return None if piece in ".^|($*+?" else piece
    return piece[1] if piece[0] == "\\" and len(piece) == 2 and not piece[1].isalnum() else None  # noqa: PLR2004


def _may_be(piece: str, character: str) -> bool:
    """Whether a piece matches a character, whatever the flags; true where the piece cannot be asked alone."""
    try:
        return any(re.fullmatch(piece, character, flags) for flags in _FLAGS)
    except re.error:
        return True
