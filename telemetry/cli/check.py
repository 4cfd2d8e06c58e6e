"""``fleet-telemetry check``: do the installed libraries have what the hooks rely on? ``compatibility.py`` knows."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from telemetry.cli.command import DONE, FOUND, Command, say


def _add_arguments(_: ArgumentParser) -> None:
    """It has none."""


def _run(_: Namespace) -> int:
    from telemetry.compatibility import report, rooms

    found = list(rooms())
    for line in report(found):
        say(line)
    return FOUND if any(room.broken() for room in found) else DONE


COMMAND = Command(
    name="check",
    help="tell whether the installed libraries have what the hooks rely on",
    description="Tell what the hooks rely on, beyond documented interfaces, in the versions of FastAPI, Celery, "
    "SQLAlchemy and so on that are installed here, and what of it is missing: before a deployment of new versions.",
    add_arguments=_add_arguments,
    run=_run,
)
