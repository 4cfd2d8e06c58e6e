"""NGINX in front of the collectors: its configuration, and which collectors get exports; it runs no process."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from support.processes import children
from support.templates import engine
from support.waiting import eventually

_TEMPLATES = engine(Path(__file__).parent / "templates")
PER_ADDRESS = 4000
"""Requests that one address may have under way: half of what there is room for, and more than a host has processes."""


class GatewayError(RuntimeError):
    """The gateway cannot do what it was told; the message is for people and says what to do."""


@dataclass(frozen=True)
class Collector:
    """A collector behind the gateway.

    Attributes:
        name: What people call it.
        address: ``host:port`` where it takes OTLP over HTTP.
        drained: Whether it gets no exports now.
    """

    name: str
    address: str
    drained: bool = False


@dataclass(frozen=True)
class Tls:
    """Encrypted on both sides, where it is; NGINX reads the files when it is started or reloaded.

    Attributes:
        certificate: Of the gateway, with its chain; shown to senders and to collectors.
        key: Of that.
        client_authority: Senders need a certificate of it; ``None`` for none.
        collector_authority: Of the collectors' certificates.
        collector_name: The name in them.
    """

    certificate: Path
    key: Path
    client_authority: Path | None
    collector_authority: Path
    collector_name: str = "otel-collector"


def configuration(
    directory: Path, listen: str, user: str = "", tls: Tls | None = None, per_address: int = PER_ADDRESS
) -> str:
    """NGINX's configuration.

    Args:
        directory: Where its files are, among them what ``upstream`` says.
        listen: ``host:port`` the senders know.
        user: Who its workers are, where root starts it.
        tls: Its certificate and the collectors' authority; ``None`` for plain text.
        per_address: Requests that one address may have under way.
    """
    scheme = "https" if tls else "http"
    return _TEMPLATES.get_template("nginx.conf.j2").render(
        directory=directory, listen=listen, user=user, tls=tls, per_address=per_address, scheme=scheme
    )


def upstream(collectors: Sequence[Collector]) -> str:
    """The part of NGINX's configuration that says which collectors get exports."""
    return _TEMPLATES.get_template("upstream.conf.j2").render(collectors=collectors)


class Gateway:
    """One gateway, known by its directory.

    Args:
        directory: Where its configuration and its process id are.
        nginx: NGINX's program.
    """

    def __init__(self, directory: Path, nginx: str = "nginx") -> None:
        self._directory = directory.absolute()
        self._nginx = nginx
        self._state = self._directory / "collectors.json"

    @property
    def command(self) -> list[str]:
        """Starts it in the foreground."""
        return [self._nginx, "-e", "stderr", "-c", str(self._directory / "nginx.conf")]

    def configure(
        self,
        listen: str,
        collectors: Mapping[str, str],
        tls: Tls | None = None,
        per_address: int = PER_ADDRESS,
    ) -> None:
        """Write the configuration.

        Args:
            listen: ``host:port`` the senders know.
            collectors: Addresses by name.
            tls: Its certificate and the collectors' authority; ``None`` for plain text.
            per_address: Requests that one address may have under way.

        Raises:
            GatewayError: Without any collector, or if a file of certificates cannot be read.
        """
        for file in (tls.certificate, tls.key, tls.client_authority, tls.collector_authority) if tls else ():
            if file is not None and not os.access(file, os.R_OK):
                raise GatewayError(f"{file} cannot be read: name a PEM file, as docs/security.md makes them")
        if not collectors:
            raise GatewayError("no collector is given: name at least one, as in `--collector a=127.0.0.1:4328`")
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        user = getpass.getuser() if os.getuid() == 0 else ""
        (self._directory / "nginx.conf").write_text(configuration(self._directory, listen, user, tls, per_address))
        self._write([Collector(name, address) for name, address in collectors.items()])

    def collectors(self) -> list[Collector]:
        """Those behind it.

        Raises:
            GatewayError: If the directory is not a gateway's.
        """
        try:
            return [Collector(**entry) for entry in json.loads(self._state.read_text())]
        except (OSError, ValueError, TypeError) as error:
            remedy = "run `python -m collector.gateway configure` first"
            raise GatewayError(f"{self._directory} is not the directory of a gateway ({error}): {remedy}") from None

    def drain(self, name: str, seconds: float = 30.0) -> None:
        """Send no more exports to a collector, and wait until those under way are answered.

        Without another one the senders are told to wait; they keep what they have and send it later.

        Raises:
            GatewayError: If it is unknown, or if requests are still under way when the time is over.
        """
        self._change(name, drained=True, seconds=seconds)

    def admit(self, name: str, seconds: float = 30.0) -> None:
        """Let a collector have exports again.

        Raises:
            GatewayError: If it is unknown.
        """
        self._change(name, drained=False, seconds=seconds)

    def add(self, name: str, address: str, seconds: float = 30.0) -> None:
        """Let one more collector have exports; of each other one it takes some senders over.

        Args:
            name: What people call it.
            address: ``host:port`` where it takes OTLP over HTTP.
            seconds: How long requests under way are waited for.

        Raises:
            GatewayError: If the name or the address is taken.
        """
        collectors = self.collectors()
        for known in collectors:
            if name == known.name or address == known.address:
                raise GatewayError(f"{known.name} is at {known.address} already: choose another name and address")
        self._settle([*collectors, Collector(name, address)], seconds)

    def remove(self, name: str, seconds: float = 30.0) -> None:
        """Forget a drained collector.

        Raises:
            GatewayError: If it is unknown or gets exports.
        """
        collectors = self.collectors()
        if not _named(collectors, name).drained:
            raise GatewayError(f"collector {name} gets exports: run `drain {name}` first")
        self._settle([c for c in collectors if c.name != name], seconds)

    def reload(self, seconds: float = 30.0) -> None:
        """Have the certificates read anew; exports under way are answered with the old ones.

        Args:
            seconds: How long requests under way are waited for.

        Raises:
            GatewayError: If it does not run, NGINX refuses a file, or requests take longer than that.
        """
        self.collectors()
        self._reload(seconds)

    def _change(self, name: str, *, drained: bool, seconds: float) -> None:
        collectors = self.collectors()
        its = _named(collectors, name)
        self._settle([replace(c, drained=drained) if c is its else c for c in collectors], seconds)

    def _settle(self, collectors: list[Collector], seconds: float) -> None:
        self._write(collectors)
        self._reload(seconds)

    def _write(self, collectors: list[Collector]) -> None:
        (self._directory / "upstream.conf").write_text(upstream(collectors))
        self._state.write_text(json.dumps([asdict(collector) for collector in collectors], indent=1) + "\n")

    def _reload(self, seconds: float) -> None:
        """The workers of the old configuration end when their last request is answered."""
        try:
            master = int((self._directory / "nginx.pid").read_text())
        except (OSError, ValueError):
            raise GatewayError(f"the gateway does not run: start it with `{' '.join(self.command)}`") from None
        workers = set(children(master))
        done = subprocess.run([*self.command, "-s", "reload"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise GatewayError(f"NGINX refuses its configuration: {done.stderr.strip()}")
        if not eventually(lambda: workers.isdisjoint(children(master)), seconds):
            raise GatewayError(
                f"requests are still under way after {seconds:g} s: try again, or look for a hanging one"
            )


def _named(collectors: Sequence[Collector], name: str) -> Collector:
    for collector in collectors:
        if collector.name == name:
            return collector
    known = ", ".join(collector.name for collector in collectors)
    raise GatewayError(f"there is no collector {name}: the gateway knows {known}")
