"""Where the parts of a fleet find each other, as its configuration files say it: on one machine, or in containers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.settings import FleetSettings


@dataclass(frozen=True)
class Place:
    """What configuration files say beside the settings.

    Attributes:
        app_servers: `host:port` of the app's replicas, or of one name that stands for all of them.
        resolver: Who resolves that name, again and again; empty where servers are addresses.
        front_page: The address of the page of `deploy.front_page`; empty where nothing serves it.
        redis_bind: What Redis listens on.
        redis_directory: Where it keeps its data.
        ask: What to run when the collector does not answer.
    """

    app_servers: tuple[str, ...]
    resolver: str
    front_page: str
    redis_bind: str
    redis_directory: Path
    ask: str


def here(settings: FleetSettings) -> Place:
    """Processes of this machine."""
    return Place(
        app_servers=tuple(f"127.0.0.1:{port}" for port in settings.app_ports),
        resolver="",
        front_page=f"http://127.0.0.1:{settings.front_page_port}",
        redis_bind="127.0.0.1",
        redis_directory=settings.data / "redis",
        ask="`make status` and `make logs`",
    )
