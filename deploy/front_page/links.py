"""Where people look at the fleet; whether a page opens is asked of the page itself."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from deploy import grafana, web_pages
from deploy.settings import FleetSettings
from telemetry.cli.preview.dashboards import load


@dataclass(frozen=True)
class Link:
    """A page of one of the fleet's programs.

    Attributes:
        title: What it is.
        url: Where it is, as this machine reaches it.
        about: Half a sentence.
        without_pages: What to say where the program that answers there has no pages; it may have none.
    """

    title: str
    url: str
    about: str
    without_pages: str = ""


def described(settings: FleetSettings) -> str:
    """What the page says of this fleet, as JSON."""
    name = f"Chat backend ({settings.environment})"
    note = "" if grafana.is_there(settings) else "No Grafana is here (GRAFANA=), so the preview draws its dashboards."
    return json.dumps({"name": name, "note": note, "links": [asdict(link) for link in links(settings)]}, indent=1)


def links(settings: FleetSettings) -> list[Link]:
    """Every page, those for everybody first."""
    secrets = f"user and password in {settings.fleet_dir}/secrets.env"
    no_pages = "has no pages, for it was built without them"
    return [
        *_dashboards(settings),
        Link("API", settings.url("NGINX_PORT", "/docs"), "every operation, to read and to try"),
        Link("Flower", settings.url("FLOWER_PORT", "/"), f"tasks and workers ({secrets})"),
        Link("Prometheus", settings.url("PROMETHEUS_PORT", "/"), "queries, targets, rules", no_pages),
        Link("Alertmanager", settings.url("ALERTMANAGER_PORT", "/"), "alerts and silences", no_pages),
        Link("Metrics", settings.url("NGINX_PORT", "/metrics"), "every series as text"),
    ]


def _dashboards(settings: FleetSettings) -> list[Link]:
    base = grafana.dashboards_of(settings)
    return [
        Link(board.title, f"{base}/d/{board.uid}", str(board.content.get("description", "")))
        for board in load().values()
    ]


def shown(found: list[Link]) -> list[dict[str, Any]]:
    """The links as the page gets them; `opens` says whether a browser would see something."""
    with ThreadPoolExecutor(len(found)) as asking:
        opens = list(asking.map(_opens, found))
    return [asdict(link) | {"opens": open_} for link, open_ in zip(found, opens, strict=True)]


def _opens(link: Link) -> bool:
    return web_pages.draws(link.url) if link.without_pages else web_pages.opens(link.url)
