"""Writes configuration files of fleets elsewhere, from those of the fleet here.

`compose.yaml` mounts them, and agents of Prometheus scrape by one.

``--check`` only compares.

Usage: ``python -m deploy.containers [--check]``
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy import alert_routes, alert_rules, render
from deploy.place import Place
from deploy.settings import ROOT, FleetSettings
from support.generated import settle

FOLDER = ROOT / "deploy" / "compose"
AGENT = ROOT / "deploy" / "remote-write"
HOME = Path("/fleet")
"""Where containers have the files of this repository that they mount."""
DNS = "127.0.0.11"
"""The resolver of every container of Docker's."""
SCRAPE_SECONDS = 15
"""As the data source in `grafana/provisioning` has it."""

_HOSTS = {
    "NGINX_PORT": "nginx",
    "APP_PORT": "app",
    "LLM_PORT": "simulated-llm",
    "REDIS_PORT": "redis",
    "FLOWER_PORT": "flower",
    "PROMETHEUS_PORT": "prometheus",
    "ALERTMANAGER_PORT": "alertmanager",
    "DASHBOARDS_PORT": "grafana",
}
_PRIVATE = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")  # an engine shows who asks as one of these
_COLLECTOR = "otel-collector"  # as grafana/prometheus-scrape-config.docker.yml calls it


@dataclass(frozen=True, kw_only=True)
class ContainerSettings(FleetSettings):
    """The fleet as its containers see it: each part has a host of its own, and listens on every address of it."""

    def host_of(self, setting: str) -> str:
        """The name of the service that has this port; the front page has none, for it shows one machine's processes."""
        return _COLLECTOR if setting.startswith("OTELCOL_") else _HOSTS.get(setting, "127.0.0.1")

    def secrets_of(self, role: str) -> Path:
        """The same everywhere: each container has its own."""
        return Path("/etc/fleet/secrets")


def settings(*, secure: bool = False) -> ContainerSettings:
    """The settings of the fleet in containers; what people may change is in the environment of `compose.yaml`.

    Args:
        secure: With `compose.secure.yaml` over it.
    """
    return ContainerSettings(
        fleet_dir=HOME,
        listen_host="0.0.0.0",
        otelcol_host="0.0.0.0",
        app_replicas=1,
        scrape_seconds=SCRAPE_SECONDS,
        metrics_networks=_PRIVATE,
        secure=secure,
    )


def place(of: ContainerSettings) -> Place:
    """Where its parts are."""
    return Place(
        app_servers=(f"{of.host_of('APP_PORT')}:{of.app_port}",),
        resolver=DNS,
        front_page="",
        redis_bind=of.listen_host,
        redis_directory=Path("/data"),
        ask="`docker compose ps` and `docker compose logs`",
    )


def files() -> dict[Path, str]:
    """Every file with its text."""
    names = ("nginx.conf", "prometheus.yml", "redis.conf")
    rendered = _rendered(settings(), names)
    over = _rendered(settings(secure=True), ("nginx.conf", "prometheus.yml"))
    rendered |= {name.replace(".", ".secure."): text for name, text in over.items()}
    rendered["alertmanager.yml"] = alert_routes.configuration("", 1)
    return {**{FOLDER / name: text for name, text in rendered.items()}, AGENT / "scrape.yml": _jobs()}


def _rendered(of: ContainerSettings, names: Sequence[str]) -> dict[str, str]:
    context = {
        "settings": of,
        "place": place(of),
        "root": HOME,
        "rules": sorted(path.name for path in alert_rules.FOLDER.glob("*.yaml")),
        "user": "",
        "durable": True,
    }
    templates = render.made_templates()
    return {name: templates.get_template(f"{name}.j2").render(context) for name in names}


def _jobs() -> str:
    """The jobs that users copy, alone: an agent of Prometheus has no rules."""
    text = (ROOT / "grafana" / "prometheus-scrape-config.yml").read_text()
    head = "# What agents scrape; edit grafana/prometheus-scrape-config.yml, and run `make generate`.\n"
    return head + text[text.index("scrape_configs:") :]


def main(check: bool) -> int:
    """Write, or compare, every file."""
    return settle(files(), check=check, remedy="make generate")


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
