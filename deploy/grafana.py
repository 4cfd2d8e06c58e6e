"""Grafana for the fleet: which one, how it is started with our dashboards, and who draws them where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from deploy.settings import ROOT, FleetSettings

IMAGE = "grafana/grafana:12.3.1"
_ENGINES = ("docker", "podman")
_PROGRAMS = ("grafana-server", "grafana")
_HOME_OF_PACKAGES = Path("/usr/share/grafana")  # where packages of distributions put its pages
_FILES = ROOT / "grafana"


@dataclass(frozen=True)
class Grafana:
    """A Grafana that the fleet can start.

    Attributes:
        program: Grafana itself, or a container engine.
        is_container: Whether it is the latter.
    """

    program: str
    is_container: bool = False


def address(settings: FleetSettings) -> str:
    """A Grafana that runs elsewhere, which is linked and not started; empty if none is named."""
    return settings.grafana.rstrip("/") if settings.grafana.startswith(("http://", "https://")) else ""


def find(settings: FleetSettings) -> Grafana | None:
    """The Grafana to start: the one that is named, one on PATH, or an image that a container engine has."""
    named = settings.grafana
    if named == "none" or address(settings):
        return None
    if named:
        found = shutil.which(named)
        return Grafana(found or named, is_container=Path(named).name in _ENGINES)
    installed = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    return Grafana(installed) if installed else with_image()


@cache
def with_image() -> Grafana | None:
    """Nothing is pulled that was not asked for: it takes minutes, or for ever where there is no network."""
    for engine in filter(None, map(shutil.which, _ENGINES)):
        try:
            done = subprocess.run(
                [engine, "image", "inspect", IMAGE],
                capture_output=True,
                timeout=5,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return Grafana(engine, is_container=True)
    return None


def is_there(settings: FleetSettings) -> bool:
    """Whether Grafana draws the dashboards, and not the preview."""
    return bool(address(settings) or find(settings))


def dashboards_of(settings: FleetSettings) -> str:
    """The address below which dashboards are, whoever draws them."""
    return address(settings) or settings.url("DASHBOARDS_PORT")


def command(grafana: Grafana, settings: FleetSettings) -> tuple[str, ...]:
    """What starts it."""
    if grafana.is_container:
        return (grafana.program, *_run_options(settings), IMAGE)
    home = home_of(Path(grafana.program))
    server = ("server",) if Path(grafana.program).name == "grafana" else ()
    return (grafana.program, *server, *((f"--homepath={home}",) if home else ()))


def _run_options(settings: FleetSettings) -> tuple[str, ...]:
    """The host's network, so that Prometheus is where it is for everybody; the fleet's files at their own paths."""
    variables = [part for name in environment(settings, {}) for part in ("--env", name)]
    mounts = [f"--volume={path}:{path}:ro" for path in (_FILES / "dashboards", settings.conf / "grafana")]
    data = f"--volume={settings.data / 'grafana'}:{settings.data / 'grafana'}"
    user = f"--user={os.getuid()}:{os.getgid()}"
    return (
        "run",
        "--rm",
        "--init",
        "--network=host",
        user,
        *mounts,
        data,
        *variables,
        "--env",
        "GF_SECURITY_ADMIN_PASSWORD",
    )


def home_of(program: Path) -> Path | None:
    """The directory with Grafana's pages: beside an unpacked release's program, or a package's."""
    beside = program.resolve().parent.parent
    return next((home for home in (beside, _HOME_OF_PACKAGES) if (home / "conf" / "defaults.ini").exists()), None)


def environment(settings: FleetSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """Its settings: whoever reaches it may look without signing in, as at Prometheus itself, and change nothing."""
    data = settings.data / "grafana"
    return {
        "GF_PATHS_DATA": str(data),
        "GF_PATHS_LOGS": str(data / "logs"),
        "GF_PATHS_PLUGINS": str(data / "plugins"),
        "GF_PATHS_PROVISIONING": str(settings.conf / "grafana" / "provisioning"),
        "GF_SERVER_HTTP_ADDR": settings.listen_host,
        "GF_SERVER_HTTP_PORT": str(settings.dashboards_port),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_AUTH_DISABLE_LOGIN_FORM": "true",
        "GF_AUTH_BASIC_ENABLED": "false",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "PROMETHEUS_URL": settings.url("PROMETHEUS_PORT"),
        "TRACE_URL": settings.trace_url,
        "FLEET_FILES": str(ROOT),
        **({"GF_SECURITY_ADMIN_PASSWORD": secrets["GRAFANA_PASSWORD"]} if secrets else {}),
    }


def provisioning(settings: FleetSettings) -> dict[Path, str]:
    """Our data source and dashboards as users provision them; contact points are theirs to fill in."""
    files = {
        name: (_FILES / "provisioning" / name).read_text()
        for name in ("datasources/prometheus.yaml", "dashboards/fleet.yaml")
    }
    sources = yaml.safe_load(files["datasources/prometheus.yaml"])
    for source in sources["datasources"]:
        source["jsonData"]["timeInterval"] = f"{settings.scrape_seconds}s"
    files["datasources/prometheus.yaml"] = yaml.safe_dump(sources)
    return {settings.conf / "grafana" / "provisioning" / name: text for name, text in files.items()}
