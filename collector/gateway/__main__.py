"""The commands: `python -m collector.gateway configure|run|reload|drain|admit|add|remove|restart`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from collector.gateway.gateway import PER_ADDRESS, Gateway, GatewayError, Tls
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
            gateway.configure(options.listen, dict(options.collector), _tls(options), options.requests_per_address)
        case "run":
            os.execv(gateway.command[0], gateway.command)
        case "reload":
            gateway.reload()
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


def _tls(options: argparse.Namespace) -> Tls | None:
    """What is said of certificates.

    Raises:
        GatewayError: If only a part of it is.
    """
    needed = (options.certificate, options.key, options.collector_ca)
    if not any((*needed, options.client_ca)):
        return None
    if not all(needed):
        raise GatewayError("TLS needs --certificate, --key and --collector-ca: name all three")
    return Tls(options.certificate, options.key, options.client_ca, options.collector_ca, options.collector_name)


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
    configure.add_argument(
        "--requests-per-address", type=int, default=PER_ADDRESS, metavar="N", help="that one address may have under way"
    )
    for name, what in {
        "certificate": "of the gateway, with its chain: TLS on both sides",
        "key": "of that",
        "client-ca": "senders need a certificate of it",
        "collector-ca": "of the collectors' certificates",
    }.items():
        configure.add_argument(f"--{name}", type=lambda text: Path(text).absolute(), metavar="FILE", help=what)
    configure.add_argument("--collector-name", default="otel-collector", metavar="NAME", help="in their certificates")
    commands.add_parser("run", help="run NGINX in the foreground")
    commands.add_parser("reload", help="read renewed certificates")
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
