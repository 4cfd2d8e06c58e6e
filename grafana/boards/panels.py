"""Panels and dashboards as this project draws them, on grafana-foundation-sdk; what they ask is in ``promql``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model

Queries = Mapping[str, str]
Steps = Sequence[tuple[float, str]]
Panel = timeseries.Panel | stat.Panel | bargauge.Panel
P = TypeVar("P", timeseries.Panel, stat.Panel, bargauge.Panel)

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
INPUT = "DS_PROMETHEUS"  # what Grafana replaces by the data source chosen at import
ENVIRONMENTS = ("dev", "stage", "prod")
TAG = "fleet-telemetry"
GREEN, ORANGE, RED = "green", "orange", "red"


@dataclass(frozen=True)
class Row:
    """Panels for one role, DevOps, Product or Finance, under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard.

    Attributes:
        uid: What links to it use; also the name of its file.
        title: What people see.
        description: What question it answers.
        variables: What can be chosen besides data source, environment and namespace.
        rows: Panels in order.
    """

    uid: str
    title: str
    description: str
    variables: tuple[build.QueryVariable, ...]
    rows: tuple[Row, ...]


def line(
    title: str,
    unit: str,
    advice: str,
    queries: Queries,
    *,
    alerts: Sequence[str] = (),
    steps: Steps = (),
    stacked: bool = False,
    width: int = 8,
) -> timeseries.Panel:
    """Values over time.

    Args:
        title: What is shown.
        unit: Grafana's id of the unit.
        advice: What it means and what to do when it looks wrong.
        queries: Expression by legend.
        alerts: Alerts that watch it; the panel links to their runbooks.
        steps: From which value on which colour, drawn as lines.
        stacked: Whether the values add up.
        width: Of 24 columns.
    """
    panel = _described(timeseries.Panel(), title, unit, advice, alerts, steps).height(8).span(width)
    panel.fill_opacity(30 if stacked else 5)
    for query in _asked(queries):
        panel.with_target(query)
    if stacked:
        panel.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL))
    if steps:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(look.GraphTresholdsStyleMode.DASHED))
    legend_table = common.VizLegendOptions().display_mode(look.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])
    return panel.legend(legend_table.show_legend(True).placement(look.LegendPlacement.BOTTOM)).min(0)


def number(
    title: str,
    unit: str,
    advice: str,
    queries: Queries,
    *,
    alerts: Sequence[str] = (),
    base: str = GREEN,
    steps: Steps = (),
    width: int = 6,
) -> stat.Panel:
    """One number a series, as of the end of the time range; arguments as for ``line``, ``base`` is below all steps."""
    panel = _described(stat.Panel(), title, unit, advice, alerts, steps, base).height(4).span(width)
    for query in _asked(queries):
        panel.with_target(query.instant())
    return panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).graph_mode(
        look.BigValueGraphMode.NONE
    )


def bars(
    title: str,
    unit: str,
    advice: str,
    queries: Queries,
    *,
    alerts: Sequence[str] = (),
    steps: Steps = (),
    width: int = 8,
) -> bargauge.Panel:
    """A bar for each series, as of the end of the time range; arguments as for ``line``."""
    panel = _described(bargauge.Panel(), title, unit, advice, alerts, steps).height(8).span(width)
    for query in _asked(queries):
        panel.with_target(query.instant())
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.orientation(look.VizOrientation.HORIZONTAL).display_mode(look.BarGaugeDisplayMode.GRADIENT).min(0)


def choice(name: str, metric: str) -> build.QueryVariable:
    """A variable with the values that a label of the same name takes on a metric; several or All can be chosen."""
    return _values(
        name, f'label_values({metric}{{environment=~"$environment", service_namespace=~"$service_namespace"}}, {name})'
    )


def dashboard(board: Board) -> model.Dashboard:
    """The dashboard as Grafana's schema has it."""
    made = (
        build.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .editable()
        .refresh("30s")
        .time("now-1h", "now")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .links([_neighbours()])
        .with_variable(_data_source())
        .with_variable(_environment())
        .with_variable(_namespace())
        .with_variable(build.ConstantVariable("runbooks").value("docs/runbooks"))
    )
    for variable in board.variables:
        made.with_variable(variable)
    ids = count(1)
    for row in board.rows:
        made.with_row(build.Row(row.title).id(next(ids)))
        for panel in row.panels:
            made.with_panel(panel.id(next(ids)))
    return made.build()


def _described(
    panel: P, title: str, unit: str, advice: str, alerts: Sequence[str], steps: Steps, base: str = GREEN
) -> P:
    panel.title(title).unit(unit).description(advice).datasource(SOURCE).no_value("no data")
    colours = [model.Threshold(value=None, color=base), *(model.Threshold(value, colour) for value, colour in steps)]
    panel.thresholds(build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(colours))
    return panel.links([_runbook(alert) for alert in alerts])


def _neighbours() -> build.DashboardLink:
    link = build.DashboardLink("Dashboards of the fleet").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True)


def _runbook(alert: str) -> build.DashboardLink:
    link = build.DashboardLink(f"Runbook: {alert}").type(model.DashboardLinkType.LINK)
    return link.url(f"${{runbooks}}/{alert}.md").target_blank(True)


def _asked(queries: Queries) -> Iterator[prometheus.Dataquery]:
    """The queries as A, B, C, by which overrides and alerts of Grafana name them."""
    for letter, (legend, expression) in zip(ascii_uppercase, queries.items(), strict=False):
        yield _query(expression, legend).ref_id(letter)


def _query(expression: str, legend: str) -> prometheus.Dataquery:
    """Where a legend names the environment it names the namespace, too; Grafana writes nothing where there is none."""
    whose = legend.replace("{{environment}}", "{{environment}} {{service_namespace}}")
    return prometheus.Dataquery().expr(expression).legend_format(whose).datasource(SOURCE)


def _data_source() -> build.DatasourceVariable:
    """Its value is the data source chosen at import; in a provisioned file, where nobody chose, the default one."""
    chosen = model.VariableOption(selected=True, text=f"${{{INPUT}}}", value=f"${{{INPUT}}}")
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus").current(chosen)


def _environment() -> build.QueryVariable:
    shown = {"All": "$__all"} | {name: name for name in ENVIRONMENTS}
    options = [model.VariableOption(selected=name == "All", text=name, value=value) for name, value in shown.items()]
    variable = _values("environment", "label_values(environment)")
    return variable.label("Environment").options(options)


def _namespace() -> build.QueryVariable:
    """All is the only choice where no sender has a namespace."""
    return _values("service_namespace", "label_values(service_namespace)").label("Service namespace")


def _values(name: str, query: str) -> build.QueryVariable:
    variable = build.QueryVariable(name).query(query).datasource(SOURCE).multi(True).include_all(True)
    variable.current(model.VariableOption(selected=True, text="All", value="$__all")).all_value(".*")
    variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(model.VariableSort.ALPHABETICAL_ASC)
