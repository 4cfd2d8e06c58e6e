"""The commands that people run: `python -m deploy up|down|…`; the work is in `fleet` and `report`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

from collector.gateway.restart import RestartError, Scrapes, restart_after_scrape
from deploy import collector_program, report
from deploy.certificates import CertificatesError
from deploy.fleet import Fleet, FleetError
from deploy.manager import ManagerError
from deploy.processes import PYTHON
from deploy.settings import ROOT, FleetSettings, SettingsError, documented
from support.processes import program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "settings":
            return _settings()
        return _run(Fleet(FleetSettings.from_environ()), options)
    except (SettingsError, FleetError, ManagerError, RestartError, CertificatesError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in {
        "up": "start what does not run yet",
        "down": "stop everything",
        "restart": "stop everything and start it with the settings as they are now",
        "restart-collector": "restart the collector alone",
        "status": "show every process",
        "report": "show every documented metric as the collector has it",
        "settings": "list every setting, its default and its meaning",
    }.items():
        commands.add_parser(name, help=what)
    logs = commands.add_parser("logs", help="follow the logs, or the log of one process")
    logs.add_argument("name", nargs="?", default="")
    for name, what in {
        "traffic": "send chat traffic through the front door",
        "demo": "up, traffic and report",
    }.items():
        command = commands.add_parser(name, help=what)
        command.add_argument("--seconds", type=int, default=60)
        command.add_argument("--seed", type=int, default=1)
    return parser


def _run(fleet: Fleet, options: argparse.Namespace) -> int:
    if options.command in {"up", "down", "restart"}:
        getattr(fleet, options.command)()
        return 0
    if options.command == "restart-collector":
        return _restart_collector(fleet)
    if options.command == "logs":
        return _logs(fleet, options.name)
    if options.command == "traffic":
        return _traffic(fleet, options.seconds, options.seed)
    if options.command == "demo":
        return _demo(fleet, options.seconds, options.seed)
    return _status(fleet) if options.command == "status" else _report(fleet)


def _restart_collector(fleet: Fleet) -> int:
    """What the durable collector has taken outlives it; what the official one has taken has to be scraped first."""

    def restart() -> None:
        fleet.stop_process("collector")
        fleet.start_process("collector")

    if collector_program.is_ours(program(fleet.settings.otelcol)):
        restart()
        return 0
    page = fleet.settings.url("OTELCOL_TOTALS_PORT", "/metrics")
    restart_after_scrape(Scrapes(fleet.settings.url("PROMETHEUS_PORT"), page), restart)
    return 0


def _settings() -> int:
    for name, default, meaning in documented():
        print(f"{name:<22} {default:<14} {meaning}")
    return 0


def _status(fleet: Fleet) -> int:
    rows = fleet.status()
    print(f"{'process':<14} {'state':<9} {'pid':>7} {'running':>9} {'memory':>9}")
    for row in rows:
        age, memory = _age(row.running_seconds), f"{row.memory_mib:.0f} MiB"
        print(f"{row.name:<14} {row.status:<9} {row.pid or '-':>7} {age:>9} {memory:>9}")
    return 0 if all(row.status == "RUNNING" for row in rows) else 3


def _age(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _logs(fleet: Fleet, name: str) -> int:
    files = [fleet.log_file(name)] if name else sorted(fleet.settings.logs.glob("*.log"))
    known = [path for path in files if path.exists()]
    if not known:
        names = ", ".join(sorted(path.stem for path in fleet.settings.logs.glob("*.log"))) or "none yet"
        print(f"There is no log of {name or 'any process'}; there are: {names}.", file=sys.stderr)
        return 1
    lines = "50" if name else "5"
    return subprocess.run(["tail", "-n", lines, "-F", *map(str, known)], check=False).returncode


def _traffic(fleet: Fleet, seconds: int, seed: int) -> int:
    """The traffic generator is a client: it gets the front door's address and the token that makes users."""
    command = [PYTHON, "-m", "deploy.traffic", "--base-url", fleet.settings.url("NGINX_PORT")]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    return subprocess.run(command, cwd=ROOT, env=fleet.environment(), check=False).returncode


def _report(fleet: Fleet) -> int:
    try:
        lines = report.read(fleet.settings)
    except OSError as error:
        raise FleetError(f"The collector does not answer ({error}); is the fleet up? `make status` tells.") from None
    print(report.table(lines))
    print()
    has_pages = report.has_web_interface(fleet.settings)
    print(report.addresses(fleet.settings, fleet.secrets()["FLOWER_USER"], has_pages))
    return 1 if report.missing(lines) else 0


def _demo(fleet: Fleet, seconds: int, seed: int) -> int:
    fleet.up()
    print(f"Sending {seconds} s of chat traffic through {fleet.settings.url('NGINX_PORT')} …")
    failed = _traffic(fleet, seconds, seed)
    _await_exports(fleet)
    reported = _report(fleet)
    print(f"\nOpen {fleet.settings.url('NGINX_PORT', '/')} in a browser: dashboards, API, state of each part.")
    print(f"The fleet takes {_memory(fleet)} of memory; it stays up until `make down`.")
    return failed or reported


def _memory(fleet: Fleet) -> str:
    return f"{sum(row.memory_mib for row in fleet.status()) / 1024:.1f} GiB"


def _await_exports(fleet: Fleet) -> None:
    """Every process has exported once more, and if something is still missing, a little longer."""
    time.sleep(fleet.settings.export_interval_ms / 1000 + 1)
    deadline = time.monotonic() + 20
    while report.missing(report.read(fleet.settings)) and time.monotonic() < deadline:
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
