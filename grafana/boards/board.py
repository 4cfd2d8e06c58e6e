"""A dashboard of rows of panels, placed on Grafana's grid of 24 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from grafana.boards.panels import Panel
from grafana.boards.variables import common

TAG = "fleet-telemetry"
_COLUMNS = 24


@dataclass(frozen=True)
class Row:
    """Panels for one role, DevOps, Product or Finance, under a heading.

    Attributes:
        title: For whom, and what.
        panels: In order.
        closed: Whether it is opened by a click, and asks nothing before.
    """

    title: str
    panels: tuple[Panel, ...]
    closed: bool = False


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
    )
    for variable in (*common(), *board.variables):
        made.with_variable(variable)
    ids, y = count(1), 0
    for row in board.rows:
        y = _add(made, row, ids, y)
    return made.build()


def _add(made: build.Dashboard, row: Row, ids: Iterator[int], y: int) -> int:
    """Add a row that begins at ``y``; returns where the next begins: below the panels, if they are seen."""
    heading = build.Row(row.title).id(next(ids)).grid_pos(model.GridPos(h=1, w=_COLUMNS, x=0, y=y))
    places = list(_places(row.panels, y + 1))
    panels = [panel.at(next(ids), *place) for panel, place in zip(row.panels, places, strict=True)]
    if row.closed:
        for panel in panels:
            heading.with_panel(panel)
        made.with_row(heading)
        return y + 1
    made.with_row(heading)
    for panel in panels:
        made.with_panel(panel)
    return places[-1][1] + row.panels[-1].height


def _places(panels: Sequence[Panel], y: int) -> Iterator[tuple[int, int]]:
    x = tallest = 0
    for panel in panels:
        if x + panel.width > _COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield x, y
        x, tallest = x + panel.width, max(tallest, panel.height)


def _neighbours() -> build.DashboardLink:
    link = build.DashboardLink("Dashboards of the fleet").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True)
