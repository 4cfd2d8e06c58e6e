"""The commands: `python -m collector.gateway configure|run|drain|admit|add|remove|restart`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from collector.gateway.gateway import Gateway, GatewayError
from collector.gateway.restart import RestartError, Scrapes, restart_drained
from support.processes import program

_BY_NAME = {
    "drain": "give a collector no more exports",
    "admit": "give it exports again",
    "remove": "forget a collector that is drained",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        _run(Gateway(options.directory, program(Path(os.environ.get("NGINX") or "nginx"))), options)
    except (GatewayError, RestartError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"The restart command failed with status {error.returncode}: {error.cmd}", file=sys.stderr)
        return 1
    return 0


def _run(gateway: Gateway, options: argparse.Namespace) -> None:
    match options.command:
        case "configure":
            gateway.configure(options.listen, dict(options.collector))
        case "run":
            os.execv(gateway.command[0], gateway.command)
        case "drain":
            gateway.drain(options.name)
        case "admit":
            gateway.admit(options.name)
        case "add":
            gateway.add(*options.collector)
        case "remove":
            gateway.remove(options.name)
        case "restart":
            scrapes = Scrapes(options.prometheus, options.page)
            restart_drained(gateway, options.name, scrapes, lambda: _call(options.restart), options.wait)


def _call(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


def _named(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals or ":" not in address:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=HOST:PORT, such as a=127.0.0.1:4328")
    return name, address


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m collector.gateway", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where its configuration is")
    commands = parser.add_subparsers(dest="command", required=True)
    configure = commands.add_parser("configure", help="write the configuration")
    configure.add_argument("--listen", default="127.0.0.1:4318", help="the address senders know")
    configure.add_argument("--collector", type=_named, action="append", default=[], metavar="NAME=HOST:PORT")
    commands.add_parser("run", help="run NGINX in the foreground")
    for name, what in _BY_NAME.items():
        commands.add_parser(name, help=what).add_argument("name")
    add = commands.add_parser("add", help="let one more collector have exports")
    add.add_argument("collector", type=_named, metavar="NAME=HOST:PORT")
    restart = commands.add_parser("restart", help="drain a collector, wait for a scrape, restart it, admit it")
    restart.add_argument("name")
    restart.add_argument("--prometheus", required=True, help="address of Prometheus")
    restart.add_argument("--page", required=True, help="the collector's totals, as Prometheus scrapes them")
    restart.add_argument("--wait", type=float, default=60.0, help="seconds a scrape may take to come")
    restart.add_argument("restart", nargs="+", help="what restarts it and returns when it is healthy; after `--`")
    return parser


if __name__ == "__main__":
    sys.exit(main())
