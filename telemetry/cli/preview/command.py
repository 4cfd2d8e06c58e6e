"""``fleet-telemetry preview``: what is asked on the command line, and whether it can be shown."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from telemetry import extras
from telemetry.cli.command import DONE, Command, prometheus_url, refuse, say, seconds

_MAX_PORT = 65535


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--prometheus",
        type=prometheus_url,
        default="http://127.0.0.1:9090",
        metavar="URL",
        help="%(default)s by default; may hold user:password@",
    )
    parser.add_argument(
        "--dashboards",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="directories or files of dashboards as Grafana exports them; by default those of this package",
    )
    parser.add_argument("--port", type=_port, default=8300, help="%(default)s by default; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="%(default)s by default; who reaches it sees every series")
    parser.add_argument(
        "--scrape-interval",
        type=seconds,
        default=15.0,
        metavar="SECONDS",
        help="of Prometheus, %(default)g by default: four of them are the shortest $__rate_interval, as in Grafana",
    )


def _port(raw: str) -> int:
    if raw.isdigit() and int(raw) <= _MAX_PORT:
        return int(raw)
    raise ArgumentTypeError(f"{raw} is no port: a number from 0 to {_MAX_PORT}")


def _run(given: Namespace) -> int:
    from telemetry.cli.preview.dashboards import DashboardError, load
    from telemetry.cli.preview.proxy import Upstream
    from telemetry.cli.preview.server import Server
    from telemetry.cli.preview.site import Site, chart_library

    upstream = Upstream(given.prometheus)
    try:
        site = Site(load(given.dashboards), chart_library(), given.scrape_interval)
        server = Server(given.host, given.port, site, upstream)
    except (extras.MissingExtraError, DashboardError) as error:
        return refuse(str(error))
    except OSError as error:
        return refuse(f"{given.host}:{given.port} cannot be listened at: {error.strerror}; --port takes another")
    say(f"Dashboards of {upstream.shown}: {server.url} (Ctrl+C ends it)")
    server.serve()
    return DONE


COMMAND = Command(
    name="preview",
    help="draw Grafana dashboards in the browser, without Grafana",
    description="Draw the dashboards of this package, or your own as Grafana exports them, in the browser from "
    "Prometheus: variables, rows, time range, and panels of the kinds time series, stat, bar gauge, gauge, table and "
    "text. It is for looking: nothing can be edited, and any other kind of panel says that it is not drawn.",
    add_arguments=_add_arguments,
    run=_run,
)
