"""Panels as this project draws them, on grafana-foundation-sdk; what they ask is in ``promql``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model

from grafana.boards.variables import SOURCE, runbook
from telemetry.looks import BLUE, CALCS, COUNT, GREEN, NEUTRAL, NOTHING, SORTED_BY

Queries = Mapping[str, str]
Steps = Sequence[tuple[float, str]]
Builder = timeseries.Panel | stat.Panel | bargauge.Panel
P = TypeVar("P", timeseries.Panel, stat.Panel, bargauge.Panel)

PER_SECOND = "count:/s"  # short, so that a legend has room for names
_LEAST_AXIS = {
    COUNT: 1,
    PER_SECOND: 0.1,
    "reqps": 0.1,
    "mps": 0.1,
    "percentunit": 0.1,
    "currencyUSD": 0.01,
    "bytes": 1024,
    "binBps": 1,
}
# Grafana measures an axis a pixel too narrow for these; with _LEAST_AXIS no label is longer than "0.025 req/s".
_AXIS_PIXELS = {PER_SECOND: 60, "mps": 72, "reqps": 80}
_POINTS = 300  # of each panel: a number and a chart of one name then use windows of one length
_BAR = 44  # pixels: Grafana writes the name above a bar of more than 40, where it is not cut
_HEIGHT = 10  # rows of 38 pixels: six bars, or a chart and four lines of its legend


@dataclass(frozen=True)
class Panel:
    """A panel and how much room it takes, in 24 columns and in rows of 38 pixels."""

    drawn: Builder
    width: int
    height: int

    def at(self, number: int, x: int, y: int) -> Builder:
        """The panel with its id at its place."""
        return self.drawn.id(number).grid_pos(model.GridPos(h=self.height, w=self.width, x=x, y=y))


@dataclass(frozen=True)
class Look:
    """How values are drawn and judged.

    Attributes:
        alerts: Alerts that watch it; the panel links to their runbooks.
        base: Colour below all steps.
        steps: From which value on which colour.
        texts: What is written, in which colour, in place of a value.
    """

    alerts: Sequence[str] = ()
    base: str = GREEN
    steps: Steps = ()
    texts: Mapping[int, tuple[str, str]] | None = None


def line(
    title: str,
    unit: str,
    advice: str,
    queries: Queries,
    *,
    alerts: Sequence[str] = (),
    steps: Steps = (),
    stacked: bool = False,
    colours: Mapping[str, str] | None = None,
    up_to: float = 0,
    calcs: Sequence[str] = CALCS,
    step: str = "",
    width: int = 8,
    height: int = _HEIGHT,
) -> Panel:
    """Values over time.

    Args:
        title: What is shown.
        unit: Grafana's id of the unit.
        advice: What it means and what to do when it looks wrong.
        queries: Expression by legend.
        alerts: Alerts that watch it; the panel links to their runbooks.
        steps: From which value on which colour, drawn as lines.
        stacked: Whether the values add up.
        colours: Colour by a query's letter, for series that mean the same whatever else is drawn.
        up_to: What the axis shows at least; by default what a 0 throughout is well seen below.
        calcs: What the legend says of each series.
        step: The shortest between two points; four of them are the shortest ``$__rate_interval``.
        width: Of 24 columns.
        height: Of 38 pixels each.
    """
    panel = _described(timeseries.Panel(), title, unit, advice, Look(alerts, steps=steps))
    panel.fill_opacity(30 if stacked else 5)
    for query, expression in zip(_asked(queries, step), queries.values(), strict=True):
        panel.with_target(query.exemplar(True) if _is_duration(unit, expression) else query)
    if stacked:
        panel.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL))
    if steps:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(look.GraphTresholdsStyleMode.DASHED))
    for letter, colour in (colours or {}).items():
        panel.override_by_query(letter, [_property("color", {"mode": "fixed", "fixedColor": colour})])
    if unit in _AXIS_PIXELS:
        panel.axis_width(_AXIS_PIXELS[unit])
    least = up_to or _axis(unit)
    if least:
        panel.axis_soft_max(least)
    return Panel(panel.legend(_legend(calcs)).tooltip(_tooltip()).min(0), width, height)


def number(
    title: str,
    unit: str,
    advice: str,
    queries: Queries,
    *,
    alerts: Sequence[str] = (),
    base: str = "",
    steps: Steps = (),
    texts: Mapping[int, tuple[str, str]] | None = None,
    step: str = "",
    width: int = 6,
) -> Panel:
    """One number a series, as of the end of the time range; further arguments as for ``line``.

    Args:
        title: What is shown.
        unit: Grafana's id of the unit.
        advice: What it means and what to do when it looks wrong.
        queries: Expression by legend.
        alerts: Alerts that watch it.
        base: Colour below all steps; green, or that of writing where there are no steps.
        steps: From which value on which colour.
        texts: What is written, in which colour, in place of a value.
        step: As for ``line``.
        width: Of 24 columns.
    """
    judged = Look(alerts, base or (GREEN if steps else NEUTRAL), steps, texts)
    panel = _described(stat.Panel(), title, unit, advice, judged)
    for query in _asked(queries, step):
        panel.with_target(query.instant())
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return Panel(panel.graph_mode(look.BigValueGraphMode.NONE), width, 4)


def bars(
    title: str,
    unit: str,
    advice: str,
    queries: Queries,
    *,
    alerts: Sequence[str] = (),
    base: str = BLUE,
    steps: Steps = (),
    texts: Mapping[int, tuple[str, str]] | None = None,
    width: int = 8,
) -> Panel:
    """A bar for each series, the longest first, as of the end of the time range; arguments as for ``number``."""
    panel = _described(bargauge.Panel(), title, unit, advice, Look(alerts, base, steps, texts))
    for query in _asked({legend: f"sort_desc({expression})" for legend, expression in queries.items()}):
        panel.with_target(query.instant())
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).display_name("${__series.name}")
    panel.orientation(look.VizOrientation.HORIZONTAL).display_mode(look.BarGaugeDisplayMode.BASIC)
    panel.text(common.VizTextDisplayOptions().title_size(14).value_size(20))  # not as large as a lone bar lets it be
    return Panel(panel.min(0).min_viz_height(_BAR), width, _HEIGHT)


def linking(panel: Panel, title: str, url: str) -> Panel:
    """The panel with a link on each of its values."""
    link = build.DashboardLink(title).type(model.DashboardLinkType.LINK).url(url).target_blank(True)
    return replace(panel, drawn=panel.drawn.data_links([link]))


def _described(panel: P, title: str, unit: str, advice: str, judged: Look) -> P:
    panel.title(title).unit(unit).description(advice).datasource(SOURCE).no_value(NOTHING).max_data_points(_POINTS)
    if unit == COUNT and not isinstance(panel, timeseries.Panel):
        panel.decimals(0)  # an axis from 0 to 1 would say 0, 0, 1, 1
    if unit == "none":
        panel.decimals(2)
    colours = [model.Threshold(value=None, color=judged.base), *_thresholds(judged.steps)]
    panel.thresholds(build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(colours))
    if not isinstance(panel, timeseries.Panel):
        panel.mappings(list(_texts(judged)))
    return panel.links([_runbook_link(alert) for alert in judged.alerts])


def _thresholds(steps: Steps) -> list[model.Threshold]:
    return [model.Threshold(value, colour) for value, colour in steps]


def _texts(judged: Look) -> Iterator[model.ValueMapping]:
    """No value is neither good nor bad: without this Grafana draws it in the colour of a value below all steps."""
    nothing = model.ValueMappingResult(text=NOTHING, color=NEUTRAL, index=0)
    yield model.SpecialValueMap(model.DashboardSpecialValueMapOptions(model.SpecialValueMatch.NULL_AND_NAN, nothing))
    if judged.texts:
        yield model.ValueMap(
            {
                str(value): model.ValueMappingResult(text=text, color=colour, index=index)
                for index, (value, (text, colour)) in enumerate(judged.texts.items(), 1)
            }
        )


def _property(name: str, value: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=name, value=value)


def _axis(unit: str) -> float:
    """What an axis of a unit reaches at least: Grafana takes 100 for a 0 throughout."""
    return _LEAST_AXIS.get(unit, 0)


def _legend(calcs: Sequence[str]) -> common.VizLegendOptions:
    """A table, the largest value of now on top: what does not fit is the least."""
    table = common.VizLegendOptions().display_mode(look.LegendDisplayMode.TABLE).calcs(list(calcs))
    return table.show_legend(True).placement(look.LegendPlacement.BOTTOM).sort_by(SORTED_BY).sort_desc(True)


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(look.TooltipDisplayMode.MULTI).sort(look.SortOrder.DESCENDING)


def _runbook_link(alert: str) -> build.DashboardLink:
    link = build.DashboardLink(f"Runbook: {alert}").type(model.DashboardLinkType.LINK)
    return link.url(runbook(alert)).target_blank(True)


def _asked(queries: Queries, step: str = "") -> Iterator[prometheus.Dataquery]:
    """The queries as A, B, C, by which overrides and alerts of Grafana name them."""
    for letter, (legend, expression) in zip(ascii_uppercase, queries.items(), strict=False):
        query = prometheus.Dataquery().expr(expression).legend_format(_whose(legend)).datasource(SOURCE).ref_id(letter)
        yield query.interval(step) if step else query


def _is_duration(unit: str, expression: str) -> bool:
    """Whether points of such a chart can lead to traces, where services record exemplars."""
    return unit == "s" and "histogram_quantile(" in expression


def _whose(legend: str) -> str:
    """A legend that is an environment alone says it always, with its namespace; others where there are several."""
    if legend == "{{environment}}":
        return "{{environment}} {{service_namespace}}"
    return legend.replace(" · {{environment}}", "$whose")
