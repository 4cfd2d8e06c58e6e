"""Turns the templates and the settings into the configuration files of one fleet; it starts nothing."""

from __future__ import annotations

import getpass
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import jinja2

from deploy import alert_routes, alert_rules, collector_program, grafana, place
from deploy.front_page import links
from deploy.processes import Process
from deploy.settings import ROOT, FleetSettings
from support import prometheus_program
from support.processes import program
from support.templates import engine
from telemetry.shipped import Choices

_FILES = {
    "redis.conf": "redis.conf.j2",
    "nginx.conf": "nginx.conf.j2",
    "pages/metrics.txt": "metrics.txt.j2",
    "prometheus.yml": "prometheus.yml.j2",
    "supervisord.conf": "supervisord.conf.j2",
}


def render(settings: FleetSettings, processes: Sequence[Process]) -> dict[Path, str]:
    """Return every configuration file of the fleet with its text."""
    templates = made_templates()
    choices = Choices(settings.url("NGINX_PORT", "/runbooks"), prometheus_program.version(program(settings.prometheus)))
    rules = alert_rules.files(settings.alert_speed, settings.scrape_seconds, choices)
    context = {
        "settings": settings,
        "place": place.here(settings),
        "processes": processes,
        "root": ROOT,
        "rules": rules,
        "user": getpass.getuser() if os.getuid() == 0 else "",
        "collector_host": urlsplit(settings.url("OTELCOL_TOTALS_PORT")).hostname,
        "durable": collector_program.is_ours(program(settings.otelcol)),
    }
    return {
        **{settings.conf / name: templates.get_template(source).render(context) for name, source in _FILES.items()},
        settings.conf / "alertmanager.yml": alert_routes.configuration(settings.alert_webhook, settings.alert_speed),
        settings.conf / "front-page.json": links.described(settings),
        **grafana.provisioning(settings),
        **{settings.conf / "alerts" / name: text for name, text in rules.items()},
    }


def make_directories(settings: FleetSettings) -> None:
    """Make the fleet's directories; they belong to whoever starts it and to nobody else."""
    settings.fleet_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (
        "logs",
        "run/nginx",
        "conf/pages",
        "conf/alerts",
        "conf/grafana/provisioning/datasources",
        "conf/grafana/provisioning/dashboards",
        "data/grafana",
        "data/redis",
        "data/prometheus",
        "data/alertmanager",
        "data/storage",
    ):
        (settings.fleet_dir / name).mkdir(parents=True, exist_ok=True)


def write(files: Mapping[Path, str]) -> None:
    """Write the files, readable by their owner alone: some contain secrets."""
    for path, text in files.items():
        path.touch(mode=0o600)
        path.write_text(text)


def made_templates() -> jinja2.Environment:
    """The fleet's templates, with what their values need."""
    made = engine(Path(__file__).parent / "templates")
    made.filters["command"] = _command
    made.filters["environment"] = _environment
    made.filters["address"] = lambda url: urlsplit(url).netloc
    return made


def _command(words: Sequence[str]) -> str:
    """A command line for supervisor, which expands `%`."""
    return shlex.join(words).replace("%", "%%")


def _environment(values: Mapping[str, str]) -> str:
    """`NAME="value",…` for supervisor, which expands `%` and knows no escape for a quote (settings allow none)."""
    return ",".join(f'{name}="{value}"' for name, value in values.items()).replace("%", "%%")
