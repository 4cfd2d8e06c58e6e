"""``fleet-telemetry files``: writes what runs beside a service; ``shipped.py`` knows what that is."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from telemetry.cli.command import DONE, Command, refuse, say
from telemetry.runbooks import RUNBOOKS


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where to; made where it does not exist")
    parser.add_argument(
        "--catalogue",
        nargs="+",
        default=[],
        metavar="MODULE",
        help="modules that declare metrics of yours, which have budgets of their own in the durable collector then",
    )
    parser.add_argument("--overwrite", action="store_true", help="also over files that were changed")
    parser.add_argument(
        "--runbooks",
        metavar="URL",
        default=RUNBOOKS,
        help="where pages of runbooks are: NAME.md below it, or with the name in place of {name}, such as "
        "https://docs.example.com/runbooks/{name}.html",
    )
    parser.add_argument(
        "--prometheus",
        type=_version,
        metavar="VERSION",
        help="the oldest Prometheus that reads them; before 3.16 counts in a time range are extrapolated",
    )


def _version(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"v?(\d+)\.(\d+)(\..*)?", text)
    if not found:
        raise ArgumentTypeError(f"{text!r} is no version of Prometheus, such as 3.5")
    return int(found[1]), int(found[2])


def _run(given: Namespace) -> int:
    from telemetry.catalogue import BUILT_IN
    from telemetry.catalogue.loading import including
    from telemetry.cli.collector_config import NAME, with_metrics
    from telemetry.shipped import KNOWS_ANCHORED, Choices, write_files

    catalogue, wrong = including(BUILT_IN, [(name, f"--catalogue {name}") for name in given.catalogue])
    if wrong:
        return refuse("\n".join(wrong))
    own = [spec for spec in catalogue.specs if spec not in set(BUILT_IN.specs)]
    choices = Choices(given.runbooks, given.prometheus or KNOWS_ANCHORED)
    try:
        changes = {NAME: lambda config: with_metrics(config, own)} if own else {}
        written = write_files(given.directory, choices, overwrite=given.overwrite, changes=changes)
    except FileExistsError as error:
        return refuse(f"there already, with other content: {error}; nothing is written. --overwrite replaces them")
    except OSError as error:
        return refuse(f"{given.directory} cannot be written to: {error}")
    for path in written:
        say(str(path))
    return DONE


COMMAND = Command(
    name="files",
    help="write the collector's configurations, dashboards and rules into a directory",
    description="Write what runs beside a service: configurations of the collector, of Prometheus and of "
    "Alertmanager, dashboards and their provisioning, alert and recording rules, and a runbook for each alert.",
    add_arguments=_add_arguments,
    run=_run,
)
