"""``fleet-telemetry watch``: what is asked on the command line, and whether it can be shown."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from telemetry import extras
from telemetry.cli.command import DONE, Command, add_scrape_token, prometheus_url, refuse, seconds

if TYPE_CHECKING:
    from telemetry.cli.page import Sample
    from telemetry.cli.watch.sources import Source


def _add_arguments(parser: ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--collector", default="", metavar="URL", help="by default the host of the OTLP endpoint, else 127.0.0.1"
    )
    where.add_argument(
        "--prometheus", type=prometheus_url, default="", metavar="URL", help="http://127.0.0.1:9090: shows alerts, too"
    )
    add_scrape_token(parser)
    parser.add_argument("--environment", default="", metavar="NAME", help="only this environment")
    parser.add_argument("--interval", type=seconds, default=2.0, metavar="SECONDS", help="between reads, 2 by default")
    parser.add_argument("--once", action="store_true", help="print one moment and end; so without a terminal")


def _run(given: Namespace) -> int:
    from telemetry.cli.collector_address import AddressError

    try:
        with extras.needed("watch", "watch"):
            import prometheus_client  # noqa: F401 - pages of metrics are read with it

            from telemetry.cli.watch import screen
    except extras.MissingExtraError as error:
        return refuse(str(error))
    try:
        source = _source(given)
    except AddressError as error:
        return refuse(str(error))
    if given.once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        screen.show_once(source, given.interval)
    else:
        screen.run(source, given.interval)
    return DONE


def _source(given: Namespace) -> Source:
    """Where moments are read.

    Raises:
        AddressError: If an address is none.
    """
    from telemetry.cli.collector_address import pages_of
    from telemetry.cli.prometheus_api import Prometheus
    from telemetry.cli.watch.sources import CollectorSource, PrometheusSource
    from telemetry.cli.web import Access
    from telemetry.settings.destination import Destination

    def is_chosen(sample: Sample) -> bool:
        return not given.environment or sample.labels.get("environment") == given.environment

    if not given.prometheus:
        named = Destination.from_environment()
        collector = given.collector or (named.address if named.setting else "127.0.0.1")
        access = Access(named.certificate, named.client_certificate, named.client_key, given.scrape_token)
        return CollectorSource(pages_of(collector, os.environ), is_chosen, access=access)
    return PrometheusSource(Prometheus(given.prometheus), is_chosen)


COMMAND = Command(
    name="watch",
    help="show the fleet live in the terminal",
    description="Show requests, tasks, queues, workers and LLM calls of the fleet live in the terminal, from the "
    "collector or from Prometheus alone (with its alerts). `q` leaves.",
    add_arguments=_add_arguments,
    run=_run,
)
