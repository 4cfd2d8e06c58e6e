"""``fleet-telemetry deliver``: delivers what dead processes of this host counted; ``telemetry/deliver.py`` does it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from telemetry.cli.command import DONE, FOUND, Command, refuse, say

if TYPE_CHECKING:
    from telemetry.pipeline.adoption import Adopted
    from telemetry.settings.settings import Settings


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--any-credentials",
        action="store_true",
        help="deliver, with the headers or the token of now, also for processes that had others at the same address",
    )
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="how long to try, 30 by default")


def _run(given: Namespace) -> int:
    from telemetry.box.directory import why_not_believed
    from telemetry.deliver import deliver
    from telemetry.settings.problems import SettingsError
    from telemetry.settings.settings import Settings

    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        return refuse(str(error))
    if settings.problems:
        return refuse("\n".join(map(str, settings.problems)))
    if "otlp" not in settings.exporters:
        exporters = ",".join(settings.exporters) or "none"
        return refuse(f"OTEL_METRICS_EXPORTER={exporters!r} delivers nowhere: set it to otlp")
    why = why_not_believed(settings.box_directory)
    if why:
        return refuse(f"TELEMETRY_STATE_DIR={settings.box_directory} is not delivered: {why}")
    adopted = deliver(settings, given.timeout, any_credentials=given.any_credentials)
    for line in _lines(adopted, settings):
        say(line)
    return FOUND if adopted.kept else DONE


def _lines(adopted: Adopted, settings: Settings) -> list[str]:
    lines = [f"delivered: {_processes(adopted.delivered)} in {settings.box_directory}"]
    if adopted.kept:
        lines.append(f"not delivered yet: {_processes(adopted.kept)}; they wait for the next one who tries")
    if adopted.expired:
        lines.append(f"dropped for their age (TELEMETRY_STATE_MAX_AGE): {_processes(adopted.expired)}")
    lines += [_left(target, count, settings) for target, count in sorted(adopted.foreign.items())]
    return lines


def _left(target: str, count: int, settings: Settings) -> str:
    from telemetry.pipeline.transport import is_same_place, target_of

    if is_same_place(target, target_of(settings)):
        return f"for this collector with other credentials: {_processes(count)}; run this with --any-credentials"
    return f"for another collector ({target}): {_processes(count)}; run this with the OTEL_* of theirs"


def _processes(count: int) -> str:
    return f"{count} dead process" if count == 1 else f"{count} dead processes"


COMMAND = Command(
    name="deliver",
    help="deliver what dead processes of this host counted",
    description="Deliver what dead processes counted whose boxes are in TELEMETRY_STATE_DIR, to the collector that "
    "OTEL_* names: as the last words of a container, in a preStop hook, by cron, after a crash. Processes that "
    "live are left alone: they deliver themselves.",
    add_arguments=_add_arguments,
    run=_run,
)
