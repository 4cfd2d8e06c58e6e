"""Finds the command that is asked for and runs it: ``fleet-telemetry``, also ``python -m telemetry``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from telemetry.cli import catalogue, check, collector, deliver, files, objectives
from telemetry.cli.command import DONE, INTERRUPTED, Command
from telemetry.cli.doctor import command as doctor
from telemetry.cli.preview import command as preview
from telemetry.cli.watch import command as watch
from telemetry.version import DISTRIBUTION, own_version

COMMANDS: tuple[Command, ...] = (
    doctor.COMMAND,
    watch.COMMAND,
    preview.COMMAND,
    catalogue.COMMAND,
    files.COMMAND,
    objectives.COMMAND,
    collector.COMMAND,
    deliver.COMMAND,
    check.COMMAND,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Instead of those of the process.

    Returns:
        0 if all is well, 1 if something is left to do or is missing, 2 if it cannot be run like this, 130 after Ctrl-C.
    """
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        status: int = given.run(given)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=DISTRIBUTION, description="What can be asked of telemetry from outside its processes."
    )
    parser.add_argument("--version", action="version", version=f"{DISTRIBUTION} {own_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        added = commands.add_parser(command.name, help=command.help, description=command.description)
        command.add_arguments(added)
        added.set_defaults(run=command.run)
    return parser
