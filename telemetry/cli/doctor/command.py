"""``fleet-telemetry doctor``: what is asked on the command line, and how findings are said."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from telemetry.cli.command import DONE, FOUND, Command, add_scrape_token, prometheus_url, refuse, say, seconds
from telemetry.cli.doctor.application import IMPORT_SECONDS

if TYPE_CHECKING:
    from telemetry.cli.doctor.case import Case
    from telemetry.cli.doctor.finding import Finding


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("app", nargs="?", default="", metavar="own:app", help="import this and see what is measured")
    parser.add_argument("--collector", default="", metavar="URL", help="by default the host of the OTLP endpoint")
    parser.add_argument(
        "--prometheus", type=prometheus_url, default="", metavar="URL", help="http://127.0.0.1:9090, for instance"
    )
    add_scrape_token(parser)
    parser.add_argument("--environment", default="", metavar="NAME", help="what the label `environment` should be")
    parser.add_argument(
        "--dashboards", type=_directory, default="", metavar="DIRECTORY", help="try the queries of these dashboards"
    )
    parser.add_argument(
        "--import-seconds",
        default=IMPORT_SECONDS,
        type=seconds,
        metavar="N",
        help=f"wait so long for the import of own:app (by default {IMPORT_SECONDS:g})",
    )
    parser.add_argument("--json", action="store_true", help="say it for machines")


def _run(given: Namespace) -> int:
    from telemetry import extras
    from telemetry.cli.collector_address import AddressError
    from telemetry.cli.doctor.case import Asked, opened
    from telemetry.cli.doctor.checks import CHECKS
    from telemetry.cli.doctor.examination import examine

    asked = Asked(
        given.app,
        given.collector,
        given.prometheus,
        given.environment,
        given.dashboards,
        given.import_seconds,
        given.scrape_token,
    )
    try:
        with extras.needed("prometheus", "doctor"):
            import prometheus_client  # noqa: F401 - pages of metrics are read with it
        case = opened(asked, os.environ)
    except (extras.MissingExtraError, AddressError) as error:
        return refuse(str(error))
    findings = examine(case, CHECKS)
    for line in [_json(findings)] if given.json else _lines(findings, case):
        say(line)
    return FOUND if findings else DONE


def _directory(text: str) -> str:
    if text and not os.path.isdir(text):  # noqa: PTH112
        raise ArgumentTypeError(f"{text!r} is no directory")
    return text


def _json(findings: Sequence[Finding]) -> str:
    return json.dumps({"healthy": not findings, "findings": [finding.as_json() for finding in findings]}, indent=2)


def _lines(findings: Sequence[Finding], case: Case) -> Iterator[str]:
    if not findings:
        yield f"healthy: {_subject(case)}"
    for number, finding in enumerate(findings, 1):
        yield _wrapped(f"{number}. ", f"{finding.severity}: {finding.problem} [{finding.code}]")
        yield from (_wrapped("      ", line) for line in finding.evidence)
        yield _wrapped("   -> ", finding.remedy)


def _wrapped(before: str, text: str) -> str:
    """For a terminal, in lines of its width; a file or a pipe gets one line."""
    if not sys.stdout.isatty():
        return before + text
    width, after = shutil.get_terminal_size().columns, " " * len(before)
    return textwrap.fill(
        text, width, initial_indent=before, subsequent_indent=after, break_long_words=False, break_on_hyphens=False
    )


def _subject(case: Case) -> str:
    """What was found well."""
    from telemetry.settings.destination import without_credentials

    endpoint = case.endpoint if case.is_about_sending else ""
    prometheus, collector = map(without_credentials, (case.asked.prometheus, case.asked.collector))
    parts = (case.asked.target, endpoint and f"exports to {endpoint}", prometheus)
    return ", ".join(filter(None, parts)) or collector or "nothing is wrong here"


COMMAND = Command(
    name="doctor",
    help="find out why metrics are missing or wrong",
    description="Find out what is wrong between this service, its collector and its Prometheus: run it where the "
    "service runs, with the service's variables. It sends one export of its own (the level telemetry_doctor_canary, "
    "which it takes back) and changes nothing. Status 0: healthy; 1: something was found; 2: it cannot be run "
    "like this.",
    add_arguments=_add_arguments,
    run=_run,
)
