"""The containers of compose.yaml, started in the order it says; tests/fleet/rehearsal compares counts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from deploy.rehearsal.composed import Container, containers, hosts, subnet
from deploy.rehearsal.namespaces import Box, bridge, connect, in_memory, mounted
from deploy.settings import ROOT
from support.waiting import eventually

_OURS = "fleet-telemetry:local"
_ENTRYPOINTS = {
    _OURS: ["/srv/fleet/deploy/image/last-words.sh"],
    "fleet-telemetry-collector": ["otelcol"],
    "prom/prometheus": ["prometheus"],
    "prom/alertmanager": ["alertmanager"],
}
# As the Dockerfile has them.
_VARIABLES = {"PYTHONPATH": "/srv/fleet", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
# What the entrypoint of the official image does with an empty volume.
_POSTGRES = """
D=/var/lib/postgresql/data/pgdata
echo "$POSTGRES_PASSWORD" >/tmp/password
initdb -D $D -E UTF8 -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=/tmp/password --no-sync
echo 'host all all all scram-sha-256' >>$D/pg_hba.conf
echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D $D postgres
exec postgres -D $D -c listen_addresses='*'
"""
SECONDS = 120.0


class RehearsalError(RuntimeError):
    """A container does not do what the file says; the message has the end of its log."""


class Rehearsal:
    """The fleet of a project.

    Args:
        project: compose.yaml, read.
        folder: Where roots, volumes and logs are; in memory.
    """

    def __init__(self, project: Mapping[str, Any], folder: Path) -> None:
        self._project = project
        self._folder = folder
        known = [one for one in containers(project) if _is_there(one)]
        self.left_out = sorted({one.service for one in containers(project)} - {one.service for one in known})
        self.containers = known
        self._make_volumes()
        self.boxes = {one.name: self._box(one) for one in known}

    def start(self) -> None:
        """Start everything, each container when those that it depends on are as it wants them."""
        networks = sorted(self._project["networks"])
        for number in range(len(networks)):
            bridge(f"reh{number}", f"{subnet(number)}.1")
        for number, one in enumerate(self.containers):
            links = {
                f"eth{index}": (f"reh{networks.index(network)}", address)
                for index, (network, address) in enumerate(sorted(one.addresses.items()))
            }
            connect(one.name, links, number)
        for one in self.containers:
            self._await_needed(one)
            self.boxes[one.name].start(_command(one))

    def of(self, service: str) -> list[Box]:
        """The containers of a service."""
        return [self.boxes[one.name] for one in self.containers if one.service == service]

    def address(self, service: str) -> str:
        """Where a service is, as this machine reaches it."""
        one = next(one for one in self.containers if one.service == service)
        return next(iter(one.addresses.values()))

    def revive(self, box: Box) -> None:
        """Start a container anew, as its restart policy does."""
        box.start(_command(next(one for one in self.containers if one.name == box.name)))

    def await_healthy(self, service: str) -> None:
        """Wait until every container of a service is well.

        Raises:
            RehearsalError: If one is not in time.
        """
        test = self._project["services"][service]["healthcheck"]["test"]
        command = test[1:] if test[0] == "CMD" else ["/bin/sh", "-c", test[1].replace("$$", "$")]
        for box in self.of(service):
            if not eventually(partial(_is_well_or_gone, box, command), SECONDS) or box.ended(0) is not None:
                raise RehearsalError(f"{box.name} is not healthy:\n{_end(box)}")

    def stop(self) -> list[str]:
        """Stop everything in the opposite order; who did not end by itself in time."""
        late = []
        for one in reversed(self.containers):
            seconds = _seconds(one.spec.get("stop_grace_period", "10s"))
            if not self.boxes[one.name].stop(one.spec.get("stop_signal", "SIGTERM"), seconds):
                late.append(one.name)
        return late

    def _await_needed(self, one: Container) -> None:
        for service, needed in (one.spec.get("depends_on") or {}).items():
            if service in self.left_out:
                continue
            if needed["condition"] == "service_healthy":
                self.await_healthy(service)
            elif needed["condition"] == "service_completed_successfully":
                self.await_end(service)

    def await_end(self, service: str) -> None:
        """Wait until a service has done what it had to do.

        Raises:
            RehearsalError: If it failed, or takes too long.
        """
        for box in self.of(service):
            status = box.ended(SECONDS)
            if status != 0:
                raise RehearsalError(f"{box.name} ended with {status}:\n{_end(box)}")

    def _make_volumes(self) -> None:
        for one in self.containers:
            for mount in one.spec.get("volumes") or []:
                if mount["type"] == "volume":
                    self._make_volume(mount["source"], one)

    def _make_volume(self, name: str, one: Container) -> None:
        """A volume belongs to whom the image says; a driver's own options go before."""
        folder = self.volume(name)
        if folder.exists():
            return
        folder.mkdir(parents=True)
        user, _, group = str(one.spec["user"]).partition(":")
        options = (self._project["volumes"][name] or {}).get("driver_opts")
        if options:
            command = ["mount", "-t", options["type"], "-o", options["o"], options["device"], str(folder)]
            subprocess.run(command, check=True)
            return
        shutil.chown(folder, int(user), int(group or user))
        folder.chmod(0o700)

    def volume(self, name: str) -> Path:
        """Where a volume is."""
        return self._folder / "volumes" / name

    def _box(self, one: Container) -> Box:
        folder = self._folder / one.name
        folder.mkdir(parents=True)
        path = f"{ROOT}/.venv/bin:{_postgres()}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        ours = one.spec["image"] == _OURS
        given = {"PATH": path, "HOME": "/run", **(_VARIABLES if ours else {}), **(one.spec.get("environment") or {})}
        directory = "/srv/fleet" if ours else "/"
        mounts = [*self._host_files(one, folder), *self._mounts(one, folder)]
        return Box(one.name, folder, str(one.spec["user"]), given, directory, mounts, bool(one.spec["read_only"]))

    def _host_files(self, one: Container, folder: Path) -> list[str]:
        """Names of hosts and users, the code, and the way to programs that are root's on this machine."""
        (folder / "hosts").write_text(hosts(one, self.containers))
        user, _, group = str(one.spec["user"]).partition(":")
        programs = [Path(sys.executable), *(ROOT / ".venv" / "bin").glob("*[!.]")]
        parents = {str(parent) for program in programs for parent in program.resolve().parents if parent != Path("/")}
        return [
            *mounted(folder / "hosts", "/etc/hosts", read_only=True),
            f"echo 'inside:x:{user}:{group or user}::/tmp:/bin/sh' >>$R/etc/passwd",
            *(f"chmod o+rx $R{parent}" for parent in sorted(parents)),
            *mounted(ROOT, "/srv/fleet", read_only=True),
        ]

    def _mounts(self, one: Container, folder: Path) -> list[str]:
        lines = []
        for target, _, options in (entry.partition(":") for entry in one.spec.get("tmpfs") or []):
            lines += in_memory(target, options)
        for mount in one.spec.get("volumes") or []:
            source = self.volume(mount["source"]) if mount["type"] == "volume" else Path(mount["source"])
            if Path(mount["target"]).name == "nginx.conf":
                source = self._without_resolver(source, folder)
            lines += mounted(source, mount["target"], read_only=bool(mount.get("read_only")))
        return lines

    def _without_resolver(self, source: Path, folder: Path) -> Path:
        """NGINX's file with addresses for names: there is no name service, and Debian's NGINX knows no `resolve`."""
        text = re.sub(r"resolver [^;]*;", "", source.read_text())
        replicas = [other.addresses["front"] for other in self.containers if other.service == "app"]
        server = r"^ *server app(:\d+) resolve([^;]*);"
        text = re.sub(
            server,
            lambda found: "".join(f"server {to}{found[1]}{found[2]};" for to in replicas),
            text,
            flags=re.MULTILINE,
        )
        collector = next(other for other in self.containers if other.service == "otel-collector")
        file = folder / "nginx.conf"
        file.write_text(text.replace("://otel-collector:", f"://{collector.addresses['telemetry']}:"))
        return file


def _is_well_or_gone(box: Box, command: list[str]) -> bool:
    return box.run(command) or box.ended(0) is not None


def _is_there(one: Container) -> bool:
    """Grafana is left out where it is not installed; Debian has none."""
    return one.service != "grafana" or shutil.which("grafana") is not None


def _command(one: Container) -> list[str]:
    if one.service == "postgres":
        return ["/bin/sh", "-ec", _POSTGRES]
    image = one.spec["image"]
    entrypoint = one.spec.get("entrypoint") or next(
        (words for start, words in _ENTRYPOINTS.items() if image.startswith(start)), []
    )
    return [*entrypoint, *(one.spec.get("command") or [])]


def _postgres() -> str:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return str(found[-1]) if found else "/usr/lib/postgresql"


def _seconds(text: str) -> float:
    minutes, seconds = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text).groups()  # type: ignore[union-attr]
    return 60 * int(minutes or 0) + int(seconds or 0)


def _end(box: Box) -> str:
    return "\n".join(box.log.read_text(errors="replace").splitlines()[-20:])
