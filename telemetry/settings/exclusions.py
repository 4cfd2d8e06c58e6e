"""Which requests HTTP metrics leave out: the syntax of ``TELEMETRY_EXCLUDED_PATHS`` and of ``instrument(excluded=…)``.

An entry is ``[METHOD] [PATH]``. A path is one of

* ``/health``: exactly this path;
* ``/items/{item}``: every request that takes the route with this full template;
* ``^/internal/``: every path this regular expression matches from its first character; ``expressions.py`` says which
  ones are taken.

A method alone leaves out its requests to every path. A WebSocket has no method: only entries without one leave it out.

``OTEL_PYTHON_*_EXCLUDED_URLS`` have another syntax, that of OpenTelemetry's instrumentors: regular expressions that are
searched in ``http://host:port/path``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, get_args

from telemetry.catalogue._labels import Method
from telemetry.settings.expressions import LOOKED_AT, UnusableExpressionError, compiled

REMEDY = "/health, ^/internal/, /items/{item}, OPTIONS or GET /metrics, with commas between entries"

_METHODS = frozenset(get_args(Method)) - {"_OTHER"}
# An escaped character is one piece, and so is a set of characters.
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]?|.", re.DOTALL)


class InvalidExclusionError(ValueError):
    """An entry does not follow the syntax; the message names the entry and the remedy."""


class Exclusion(NamedTuple):
    """One entry.

    Attributes:
        method: The only method it is about; ``None`` for all.
        path: The exact path or full route template.
        pattern: The regular expression, where there is one instead.
    """

    method: str | None = None
    path: str | None = None
    pattern: re.Pattern[str] | None = None

    def covers(self, method: str | None, path: str) -> bool:
        """Whether a request is left out."""
        if self.method is not None and self.method != method:
            return False
        if self.pattern is not None:
            return self.pattern.match(path, 0, LOOKED_AT) is not None
        return self.path is None or self.path == path

    def covers_route(self, method: str | None, template: str) -> bool:
        """Whether every request to a route is left out, whatever its parameters are.

        An expression cannot tell from a template what it will match, unless it does before the first parameter.
        """
        before_parameters = template.partition("{")[0]
        return self.covers(method, template) and (self.pattern is None or self.covers(method, before_parameters))


class Exclusions:
    """A set of entries; false where it is empty.

    Args:
        entries: Parsed ones.
        urls: Expressions that are searched in URLs.

    Attributes:
        has_templates: Whether a route can be left out that its path does not tell.
        has_urls: Whether more than the path of a request decides.
    """

    def __init__(self, entries: Iterable[Exclusion] = (), urls: Iterable[re.Pattern[str]] = ()) -> None:
        self._entries = tuple(entries)
        self._urls = tuple(urls)
        self.has_urls = bool(self._urls)
        self._templates = tuple(entry for entry in self._entries if "{" in (entry.path or ""))
        self.has_templates = bool(self._templates)
        self._paths = tuple(entry for entry in self._entries if entry not in self._templates)

    @classmethod
    def parse(cls, entries: str | Iterable[str]) -> Exclusions:
        """Entries as text, or one text with commas between them.

        Raises:
            InvalidExclusionError: Naming the first wrong entry and the remedy.
        """
        texts = split(entries) if isinstance(entries, str) else entries
        return cls(_parsed(text.strip()) for text in texts)

    @classmethod
    def of_urls(cls, expressions: Iterable[str]) -> Exclusions:
        """Expressions of ``OTEL_PYTHON_*_EXCLUDED_URLS``.

        Raises:
            InvalidExclusionError: Naming the first wrong one.
        """
        return cls(urls=map(searched, expressions))

    def __bool__(self) -> bool:
        return bool(self._entries or self._urls)

    def __add__(self, others: Exclusions) -> Exclusions:
        return Exclusions((*self._entries, *others._entries), (*self._urls, *others._urls))

    def cover(self, method: str | None, path: str, root_path: str = "", origin: str = "") -> bool:
        """Whether a request is left out by its path; that of its route is another question, of ``cover_template()``.

        Args:
            method: As sent; ``None`` for a WebSocket.
            path: URL path.
            root_path: What a proxy or server put before the application's paths; entries match with it and without it.
            origin: What comes before the path in the URL: ``http://host:port``.
        """
        return any(entry.covers(method, said) for said in _spellings(path, root_path) for entry in self._paths) or any(
            expression.search(origin + path, 0, LOOKED_AT) for expression in self._urls
        )

    def cover_template(self, method: str | None, template: str) -> bool:
        """Whether a request is left out by the full template of the route it takes: by an entry that is a template."""
        return any(entry.covers(method, template) for entry in self._templates)

    def cover_route(self, method: str | None, template: str, root_path: str = "") -> bool:
        """Whether every request to the route with this full template is left out; arguments as for ``cover()``."""
        return (
            self.cover_template(method, template)
            or any(
                entry.covers_route(method, said) for said in _spellings(template, root_path) for entry in self._paths
            )
            or any(_covers_urls(expression, template) for expression in self._urls)
        )


def searched(expression: str) -> re.Pattern[str]:
    """An expression that is ready to be searched in URLs.

    Raises:
        InvalidExclusionError: Naming it and what is wrong.
    """
    try:
        compiled(rf"[\s\S]*?(?:{expression.removeprefix('^').removeprefix('.*')})")  # it is tried at every place
        return compiled(expression)
    except UnusableExpressionError as error:
        raise InvalidExclusionError(f"{expression!r} {error}") from error


def _covers_urls(expression: re.Pattern[str], template: str) -> bool:
    """Whether an expression is found in every URL of a route, whatever its parameters are."""
    before_parameters = template.partition("{")[0]
    return all(expression.search(f"http://localhost{path}") for path in (template, before_parameters))


def split(entries: str) -> list[str]:
    """The entries of one text; a comma within brackets of a regular expression does not end it."""
    found, depth = [""], 0
    for piece in _PIECE.findall(entries):
        depth = max(0, depth + (piece in "({") - (piece in ")}"))
        if piece == "," and not depth:
            found.append("")
        else:
            found[-1] += piece
    return [entry.strip() for entry in found if entry.strip()]


def _spellings(path: str, root_path: str) -> Iterator[str]:
    yield path
    root = root_path.rstrip("/")
    if root:
        inside = path.removeprefix(root) if path == root or path.startswith(root + "/") else None
        yield root + path if inside is None else inside or "/"


def _parsed(entry: str) -> Exclusion:
    method, _, rest = entry.partition(" ") if entry[:1] not in {"/", "^"} else ("", "", entry)
    path = rest.strip()
    if (method and method not in _METHODS) or (path and path[0] not in "/^") or not (method or path):
        raise InvalidExclusionError(f"{entry!r} is no exclusion: write it as {REMEDY}")
    if not path.startswith("^"):
        return Exclusion(method or None, path or None)
    try:
        return Exclusion(method or None, pattern=compiled(path))
    except UnusableExpressionError as error:
        raise InvalidExclusionError(f"{entry!r} {error}: write it as {REMEDY}") from error
