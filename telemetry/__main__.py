"""The command line: ``python -m telemetry deliver`` and ``python -m telemetry check``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from telemetry.compatibility import report, rooms
from telemetry.deliver import deliver
from telemetry.pipeline.adoption import Adopted
from telemetry.settings.problems import SettingsError
from telemetry.settings.settings import Settings

_USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 if all is well, 1 if something is left to do or is missing, 2 if it cannot be run like this.
    """
    parser = argparse.ArgumentParser(
        prog="python -m telemetry", description="What can be asked of telemetry from outside its processes."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "deliver",
        help="deliver what dead processes of this host counted",
        description="Deliver what dead processes counted whose boxes are in TELEMETRY_STATE_DIR, to the collector that "
        "OTEL_* names: as the last words of a container, in a preStop hook, by cron, after a crash. Processes that "
        "live are left alone: they deliver themselves.",
    )
    command.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="how long to try, 30 by default"
    )
    commands.add_parser(
        "check",
        help="tell whether the installed libraries have what the hooks rely on",
        description="Tell what the hooks rely on, beyond documented interfaces, in the versions of FastAPI, Celery, "
        "SQLAlchemy and so on that are installed here, and what of it is missing: before a deployment of new versions.",
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return _check() if given.command == "check" else _deliver(given.timeout)


def _check() -> int:
    found = list(rooms())
    for line in report(found):
        _say(line)
    return 1 if any(room.broken() for room in found) else 0


def _deliver(timeout: float) -> int:
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        return _refuse(str(error))
    if settings.problems:
        return _refuse("\n".join(map(str, settings.problems)))
    if "otlp" not in settings.exporters:
        exporters = ",".join(settings.exporters) or "none"
        return _refuse(f"OTEL_METRICS_EXPORTER={exporters!r} delivers nowhere: set it to otlp")
    adopted = deliver(settings, timeout)
    for line in _lines(adopted, settings):
        _say(line)
    return 1 if adopted.kept else 0


def _lines(adopted: Adopted, settings: Settings) -> list[str]:
    lines = [f"delivered: {_processes(adopted.delivered)} in {settings.box_directory}"]
    if adopted.kept:
        lines.append(f"not delivered yet: {_processes(adopted.kept)}; they wait for the next one who tries")
    if adopted.expired:
        lines.append(f"dropped for their age (TELEMETRY_STATE_MAX_AGE): {_processes(adopted.expired)}")
    for target, count in sorted(adopted.foreign.items()):
        lines.append(f"for another collector ({target}): {_processes(count)}; run this with the OTEL_* of theirs")
    return lines


def _processes(count: int) -> str:
    return f"{count} dead process" if count == 1 else f"{count} dead processes"


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - a command line speaks
    return _USAGE_ERROR


def _say(line: str) -> None:
    print(line)  # noqa: T201 - a command line speaks


if __name__ == "__main__":
    sys.exit(main())
