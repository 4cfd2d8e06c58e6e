"""How the text of an environment variable becomes a value; ``ValueError`` for a text that is none."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import unquote

from opentelemetry.util.re import parse_env_headers

from telemetry.metrics.exemplars import ExemplarFilter
from telemetry.metrics.views import HistogramAggregation
from telemetry.settings import buckets, exclusions, llm_prices
from telemetry.settings.problems import WrongValueError

Exporter = Literal["otlp", "prometheus", "console"]

MAX_PORT = 65535
_MILLISECONDS_FROM = 1000
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_EXPORTERS: Mapping[str, Exporter | None] = {
    "otlp": "otlp",
    "prometheus": "prometheus",
    "console": "console",
    "none": None,
    "logging": "console",  # its name before
    "otlp_proto_http": "otlp",  # names of the Python SDK's entry points
    "otlp_proto_grpc": "otlp",
}
# As OpenTelemetry's own reader has it, which would write a header that it does not understand, a secret, to the log.
_HEADER = re.compile(r"\s*[\w!#$%&'*+.^`|~-]+\s*=[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*", re.ASCII)
_PRINTABLE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def positive(raw: str) -> float:
    """A number above 0."""
    value = float(raw)
    if not 0 < value < float("inf"):
        raise ValueError(raw)
    return value


def count(raw: str) -> int:
    """A whole number above 0."""
    number = int(raw)
    if number < 1:
        raise ValueError(raw)
    return number


def milliseconds(raw: str) -> float:
    """Seconds, from milliseconds."""
    return positive(raw) / 1000


def seconds(raw: str) -> float:
    """Seconds as the Python SDK reads them; 1000 and more are milliseconds as the specification has it."""
    value = positive(raw)
    return value / 1000 if value >= _MILLISECONDS_FROM else value


def port(raw: str) -> int:
    """A port that exists."""
    number = int(raw)
    if not 0 < number <= MAX_PORT:
        raise ValueError(raw)
    return number


def boolean(raw: str) -> bool:
    """True or false."""
    if raw.lower() not in _TRUTHS:
        raise ValueError(raw)
    return _TRUTHS[raw.lower()]


def absolute(raw: str) -> Path:
    """An absolute path."""
    path = Path(raw).expanduser()
    if not path.is_absolute():
        raise ValueError(raw)
    return path


def readable(raw: str) -> str:
    """The path of a file that can be read."""
    path = Path(raw).expanduser()
    if not path.is_file() or not os.access(path, os.R_OK):
        raise WrongValueError("names no file that can be read: set it to the path of a PEM file")
    return str(path)


def one_of(*allowed: str) -> Callable[[str], str]:
    """One of these words, in whatever case."""

    def convert(raw: str) -> str:
        if raw.lower() not in allowed:
            raise ValueError(raw)
        return raw.lower()

    return convert


def exemplar_filter(raw: str) -> ExemplarFilter:
    """One of the filters that OpenTelemetry knows."""
    return cast("ExemplarFilter", one_of(*get_args(ExemplarFilter))(raw))


def histogram_aggregation(raw: str) -> HistogramAggregation:
    """One of those that OpenTelemetry knows."""
    return cast("HistogramAggregation", one_of(*get_args(HistogramAggregation))(raw))


def names(raw: str) -> frozenset[str]:
    """Names with commas between them."""
    return frozenset(name.strip() for name in raw.split(",") if name.strip())


def modules(raw: str) -> tuple[str, ...]:
    """Dotted names of modules with commas between them."""
    names = [name.strip() for name in raw.split(",") if name.strip()]
    usable = tuple(name for name in names if all(part.isidentifier() for part in name.split(".")))
    if len(usable) < len(names):
        wrong = ", ".join(repr(name) for name in names if name not in usable)
        raise WrongValueError(f"has {wrong}: write it as dotted names of modules, as `import` takes them", usable)
    return usable


def exporters(raw: str) -> tuple[Exporter, ...]:
    """Where metrics go, each way once."""
    words = [word.strip().lower() for word in raw.split(",") if word.strip()]
    known = tuple(dict.fromkeys(_EXPORTERS[word] for word in words if word in _EXPORTERS))
    ways = tuple(way for way in known if way is not None)
    wrong = [word for word in words if word not in _EXPORTERS]
    if wrong or (ways and None in known) or not words:
        named = ", ".join(map(repr, wrong)) or ("none beside others" if words else "it names none")
        raise WrongValueError(
            f"is not valid ({named}): set it to otlp, prometheus, console or none, with commas between several",
            ways if known else None,
        )
    return ways


def attributes(raw: str) -> dict[str, str]:
    """Percent-decoded values by key."""
    found, wrong = {}, []
    for pair in filter(str.strip, raw.split(",")):
        key, separator, value = pair.partition("=")
        if separator and key.strip():
            found[key.strip()] = unquote(value.strip())
        else:
            wrong.append(pair)
    if wrong:
        raise WrongValueError(f"has {', '.join(map(repr, wrong))}: write it as key=value,key=value", found)
    return found


def headers(raw: str) -> dict[str, str]:
    """Headers by their names in small letters."""
    found: dict[str, str] = {}
    parts = [part for part in raw.split(",") if part.strip()]
    for part in parts:
        parsed = parse_env_headers(part, liberal=True) if _HEADER.fullmatch(part) else {}
        found |= {name: value for name, value in parsed.items() if _PRINTABLE.fullmatch(value)}
    if len(found) < len(parts):
        raise WrongValueError(
            f"has {len(parts) - len(found)} of {len(parts)} headers that cannot be sent: "
            "write it as name=value,name=value, percent-encoded, each name once",
            found,
        )
    return found


def excluded(raw: str) -> frozenset[str]:
    """Entries of ``TELEMETRY_EXCLUDED_PATHS``."""
    usable, errors = _usable(exclusions.split(raw), exclusions.Exclusions.parse)
    if errors:
        raise WrongValueError(f"is not valid: {', '.join(errors)}", frozenset(usable))
    return frozenset(usable)


def expressions(raw: str) -> tuple[str, ...]:
    """Regular expressions that are searched in URLs, with commas between them."""
    texts = [text.strip() for text in raw.split(",") if text.strip()]
    usable, errors = _usable(texts, exclusions.searched)
    if errors:
        raise WrongValueError(
            f"is not valid: {', '.join(errors)}: write it as regular expressions with commas between them", usable
        )
    return usable


def _usable(entries: Iterable[str], check: Callable[[str], object]) -> tuple[tuple[str, ...], list[str]]:
    """Entries that can be used, and what is wrong with the others."""
    usable, errors = [], []
    for entry in entries:
        try:
            check(entry)
        except ValueError as error:
            errors.append(str(error))
        else:
            usable.append(entry)
    return tuple(usable), errors


def histogram_buckets(raw: str) -> buckets.Buckets:
    """Upper bounds by the name of the histogram."""
    try:
        return buckets.parse(raw)
    except buckets.InvalidBucketsError as error:
        raise WrongValueError(f"is not valid: {error}") from error


def prices(raw: str) -> tuple[llm_prices.Override, ...]:
    """The prices in a file."""
    try:
        return llm_prices.read(Path(raw))
    except llm_prices.PricesError as error:
        raise WrongValueError(f"is not valid: {error}") from error
