"""compose.yaml as `docker compose` reads it, and what a rehearsal has to know of each container; it starts nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.settings import ROOT

FILE = ROOT / "deploy" / "compose.yaml"
SECURE = ROOT / "deploy" / "compose.secure.yaml"
READER = Path(__file__).parent / "composed"


class ComposeError(RuntimeError):
    """The file cannot be read; the message is compose-go's."""


@dataclass(frozen=True)
class Container:
    """One container.

    Attributes:
        name: Its host name: the service's, with a number where there are several.
        service: The service's name, by which others reach it.
        spec: What the file says of it.
        addresses: Its address in each of its networks.
    """

    name: str
    service: str
    spec: Mapping[str, Any]
    addresses: Mapping[str, str]


def read(variables: Mapping[str, str], *over: Path) -> dict[str, Any]:
    """The file with these variables.

    Args:
        variables: What it asks for.
        over: Files that are laid over it.

    Raises:
        ComposeError: With what is wrong with it.
    """
    command = ["go", "run", ".", str(FILE), *map(str, over)]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=READER, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ComposeError(done.stderr.strip())
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def subnet(number: int) -> str:
    """The first three numbers of a network's addresses."""
    return f"10.213.{number}"


def containers(project: Mapping[str, Any]) -> list[Container]:
    """Every container, in an order in which each comes after those that it depends on."""
    networks = sorted(project["networks"])
    made = []
    for host, (service, name) in enumerate(_named(project["services"]), 10):
        spec = project["services"][service]
        addresses = {network: f"{subnet(networks.index(network))}.{host}" for network in spec["networks"]}
        made.append(Container(name, service, spec, addresses))
    return made


def _named(services: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for service in _ordered(services):
        count = services[service].get("deploy", {}).get("replicas") or 1
        yield from ((service, service if count == 1 else f"{service}-{number}") for number in range(1, count + 1))


def _ordered(services: Mapping[str, Any]) -> list[str]:
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        for needed in sorted(services[name].get("depends_on") or {}):
            visit(needed)
        done.setdefault(name)

    for name in sorted(services):
        visit(name)
    return list(done)


def hosts(of: Container, everybody: list[Container]) -> str:
    """`/etc/hosts` of a container: whom it shares a network with, by the names of services."""
    lines = ["127.0.0.1 localhost", f"127.0.0.1 {of.name}"]
    for other in everybody:
        shared = [network for network in other.addresses if network in of.addresses]
        lines += [f"{other.addresses[shared[0]]} {other.service}"] if shared else []
    return "\n".join(lines) + "\n"
