"""What one examination is about: where things are, and what is being read there; what it means is found by the checks.

Everything is asked for at once, in threads, so that an examination takes as long as the slowest answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from telemetry.cli import page, web
from telemetry.cli.collector_address import CollectorAddress, pages_of
from telemetry.cli.doctor.application import IMPORT_SECONDS, Application, imported
from telemetry.cli.doctor.canary import Canary, fly
from telemetry.cli.doctor.fleet_series import FleetSeries, of_pages, of_prometheus
from telemetry.cli.doctor.later import Later
from telemetry.cli.doctor.server import PrometheusServer, asked
from telemetry.cli.page import Page
from telemetry.cli.prometheus_api import Prometheus
from telemetry.settings import variables
from telemetry.settings.destination import Destination
from telemetry.settings.problems import SettingsError
from telemetry.settings.settings import Settings


@dataclass(frozen=True)
class Asked:
    """What was asked on the command line.

    Attributes:
        target: An application, as ``module:attribute``; empty for none, as are the others.
        collector: The address of a collector.
        prometheus: The address of a Prometheus.
        environment: What the label ``environment`` should be.
        dashboards: A directory with dashboards.
        import_seconds: How long the import of the application may take.
        scrape_token: A file with a token for the collector's pages.
    """

    target: str = ""
    collector: str = ""
    prometheus: str = ""
    environment: str = ""
    dashboards: str = ""
    import_seconds: float = IMPORT_SECONDS
    scrape_token: str = ""


@dataclass(frozen=True)
class Pages:
    """The pages of a collector."""

    address: CollectorAddress
    totals: Later[Page]
    levels: Later[Page]
    own: Later[Page]


@dataclass(frozen=True)
class Case:
    """One examination, under way; ``None`` stands for what it is not about.

    Attributes:
        asked: What was asked.
        env: The environment variables of the service.
        settings: How metrics leave a process with these variables; ``None`` where it does not start with them.
        problems: Why it does not start; what else is wrong with them is in the settings.
        pages: Of the collector.
        application: What its import shows.
        canary: What became of an export.
        prometheus: What the Prometheus says of itself.
        series: Those of the fleet.
    """

    asked: Asked
    env: Mapping[str, str]
    settings: Settings | None
    problems: str
    pages: Pages | None
    application: Later[Application] | None
    canary: Later[Canary] | None
    prometheus: Later[PrometheusServer] | None
    series: Later[FleetSeries] | None

    @property
    def endpoint(self) -> str:
        """Where exports go: an address, without credentials."""
        return endpoint_of(self.settings)

    @property
    def endpoint_variable(self) -> str:
        """The variable that says so."""
        named = self.settings.destination.setting if self.settings else ""
        return named or variables.ENDPOINT.name

    @property
    def is_about_sending(self) -> bool:
        """Whether a process with these variables is examined, and not only what stands at given addresses."""
        return is_about_sending(self.asked, self.env)


def is_about_sending(asked: Asked, env: Mapping[str, str]) -> bool:
    """Whether an application, or a variable of OpenTelemetry, or nothing at all is given."""
    variables = any(name.startswith("OTEL_") and value.strip() for name, value in env.items())
    return bool(asked.target or variables or not (asked.collector or asked.prometheus))


def endpoint_of(settings: Settings | None) -> str:
    """Where exports go: an address, without credentials; empty where none leaves the process."""
    return settings.destination.address if settings is not None and "otlp" in settings.exporters else ""


def opened(what: Asked, env: Mapping[str, str]) -> Case:
    """Begin an examination.

    Raises:
        AddressError: If the collector's address or a port of it is none.
    """
    settings, problems = read_settings(env)
    endpoint = endpoint_of(settings) if is_about_sending(what, env) else ""
    access = _access(settings, what.scrape_token)
    pages = _pages(what.collector or endpoint, env, access)
    server = Prometheus(what.prometheus) if what.prometheus else None
    prometheus = Later(lambda: asked(server)) if server else None
    return Case(
        asked=what,
        env=env,
        settings=settings,
        problems=problems,
        pages=pages,
        application=Later(lambda: imported(what.target, what.import_seconds)) if what.target else None,
        canary=Later(lambda: fly(settings, pages.address.levels if pages else "", prometheus, access))
        if settings and endpoint
        else None,
        prometheus=prometheus,
        series=_series(pages, server),
    )


def read_settings(env: Mapping[str, str]) -> tuple[Settings | None, str]:
    """Settings, or why a process does not start with these variables."""
    try:
        return Settings.from_environment(env=env), ""
    except SettingsError as error:
        return None, str(error)


def _access(settings: Settings | None, token_file: str) -> web.Access:
    """A reader trusts whom a sender trusts, and shows its certificate."""
    of = settings.destination if settings else Destination()
    return web.Access(of.certificate, of.client_certificate, of.client_key, token_file)


def _pages(collector: str, env: Mapping[str, str], access: web.Access) -> Pages | None:
    if not collector:
        return None
    address = pages_of(collector, env)
    return Pages(
        address,
        *(Later(partial(page.read, url, access=access)) for url in (address.totals, address.levels, address.own)),
    )


def _series(pages: Pages | None, server: Prometheus | None) -> Later[FleetSeries] | None:
    if pages is None:
        return None if server is None else Later(lambda: of_prometheus(server))
    return Later(lambda: _first(of_pages(pages.totals.get(), pages.levels.get()), server))


def _first(series: FleetSeries, server: Prometheus | None) -> FleetSeries:
    """Those of the pages, or of the Prometheus where the pages cannot be read."""
    return of_prometheus(server) if server is not None and not series.is_known else series
