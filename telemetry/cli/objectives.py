"""``fleet-telemetry objectives``: writes what follows from a file of objectives; ``objectives/`` knows what that is."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from telemetry import extras
from telemetry.cli.command import DONE, Command, refuse, say
from telemetry.runbooks import RUNBOOKS

if TYPE_CHECKING:
    from telemetry.objectives.reading import Known


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the objectives, in YAML; docs/objectives.md")
    parser.add_argument(
        "directory",
        type=Path,
        metavar="DIRECTORY",
        help="where to, best that of `fleet-telemetry files`; made if missing",
    )
    parser.add_argument(
        "--runbooks",
        default=RUNBOOKS,
        metavar="URL",
        help="where pages of runbooks are, %(default)s by default, as `files` has it",
    )
    parser.add_argument("--overwrite", action="store_true", help="also over files of another origin")


def _run(given: Namespace) -> int:
    try:
        with extras.needed("objectives", "fleet-telemetry objectives"):
            from telemetry.objectives.reading import ObjectivesError, read
            from telemetry.objectives.written import also_recorded, files
    except extras.MissingExtraError as error:
        return refuse(str(error))
    try:
        objectives = read(given.file, _known())
    except ObjectivesError as error:
        return refuse(str(error))
    except OSError as error:
        return refuse(f"{given.file} cannot be read: {error.strerror}")
    for note in objectives.notes:
        say(f"note: {note}; name the module that declares it in TELEMETRY_CATALOGUE to have it checked")
    twice = also_recorded(objectives.declared, given.directory, given.file)
    if twice:
        return refuse("\n".join(twice))
    texts = files(objectives.declared, given.file, given.runbooks)
    return _write({given.directory / name: text for name, text in texts.items()}, overwrite=given.overwrite)


def _known() -> Known:
    from telemetry.cli.known import known
    from telemetry.objectives.reading import Known
    from telemetry.settings import variables
    from telemetry.settings.reader import Reader

    return Known(known(), Reader(os.environ).read(variables.HISTOGRAM_BUCKETS))


def _write(texts: dict[Path, str], *, overwrite: bool) -> int:
    from telemetry.objectives.written import is_written

    others = [str(path) for path in texts if path.exists() and not is_written(path)]
    if others and not overwrite:
        return refuse(
            f"there already, and not of these objectives: {', '.join(others)}; nothing is written. Rename the file of "
            "objectives, or the objective; --overwrite replaces them"
        )
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            say(str(path))
    except OSError as error:
        return refuse(f"{error.filename} cannot be written: {error.strerror}")
    return DONE


COMMAND = Command(
    name="objectives",
    help="make rules, a dashboard and runbooks of your service level objectives",
    description="Make of a file of objectives (name, target, window, indicator) recording rules, alerts on how fast "
    "the allowance is used up, a runbook for each alert and a Grafana dashboard, and write them into a directory.",
    add_arguments=_add_arguments,
    run=_run,
)
