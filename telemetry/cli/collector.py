"""``fleet-telemetry collector``: becomes the collector that an extra brings; ``collector_program.py`` does it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from telemetry import collector_program
from telemetry.cli.command import Command, refuse


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, action="append", default=[], metavar="FILE", help="instead of it; may be repeated"
    )
    parser.add_argument(
        "--state-directory",
        type=Path,
        metavar="DIRECTORY",
        help=f"where totals outlive the collector; {collector_program.STATE_VARIABLE} says the same",
    )
    parser.add_argument(
        "--secure",
        action="store_true",
        help=f"with TLS and tokens: {collector_program.SECURE}, whose head names the variables of its files, over it",
    )
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="for the collector itself, after --")


def _run(given: Namespace) -> int:
    try:
        collector_program.run(given.config, given.state_directory, given.arguments, secure=given.secure)
    except collector_program.CollectorError as error:
        return refuse(str(error))
    except OSError as error:
        return refuse(f"the collector cannot be started: {error}")


COMMAND = Command(
    name="collector",
    help="run the collector that the extra `collector` brings",
    description="Run the durable collector in place of this command, by the configuration that comes with the "
    "package. Its ports and bounds are environment variables, which the head of that file lists.",
    add_arguments=_add_arguments,
    run=_run,
)
