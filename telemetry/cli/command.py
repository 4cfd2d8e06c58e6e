"""What a command of ``fleet-telemetry`` is, and how one speaks; what each does is in the file of its name."""

from __future__ import annotations

import math
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass

DONE, FOUND, CANNOT, INTERRUPTED = 0, 1, 2, 130
"""Statuses: all is well; something is left to do or is missing; it cannot be run like this; the user pressed Ctrl-C."""


@dataclass(frozen=True)
class Command:
    """One command. What does its work is imported when it runs, so that others do not load it.

    Attributes:
        name: The word on the command line.
        help: Half a sentence for the list of commands.
        description: Sentences for its own help.
        add_arguments: Declares its arguments.
        run: Does it, and returns the status.
    """

    name: str
    help: str
    description: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]


def seconds(text: str) -> float:
    """The value of an argument that is a number of seconds.

    Raises:
        ArgumentTypeError: If it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise ArgumentTypeError(f"{text!r} is no number of seconds above 0: write it as 60")
    return number


def prometheus_url(text: str) -> str:
    """The value of ``--prometheus``, which may hold credentials; empty where none is named.

    Raises:
        ArgumentTypeError: If it is no address.
    """
    from telemetry.settings.destination import without_credentials

    if text and not text.startswith(("http://", "https://")):
        raise ArgumentTypeError(f"{without_credentials(text)!r} is no address: write it as http://127.0.0.1:9090")
    return text


def add_scrape_token(parser: ArgumentParser) -> None:
    """The option for pages that are shown to readers with a token alone."""
    parser.add_argument(
        "--scrape-token",
        default="",
        metavar="FILE",
        help="a token for the collector's pages, where they want one; certificates are those of OTEL_EXPORTER_OTLP_*",
    )


def say(text: str) -> None:
    """Write to standard output."""
    print(text)  # noqa: T201 - a command line speaks


def refuse(sentence: str) -> int:
    """Say on standard error why a command cannot be run like this.

    Returns:
        The status.
    """
    print(sentence, file=sys.stderr)  # noqa: T201 - a command line speaks
    return CANNOT
