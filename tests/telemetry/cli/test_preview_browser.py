"""`fleet-telemetry preview` in a browser, with a dashboard that has what dashboards of others have: kinds, options, hostile labels."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser

from telemetry.cli.preview.dashboards import load
from telemetry.cli.preview.proxy import Upstream
from telemetry.cli.preview.server import Server
from telemetry.cli.preview.site import Site, chart_library
from tests.support.browser import Looked, chromium, looking

HOSTILE = '<img src=x onerror="window.wasRun = true">'
START = 1_700_000_000
Opened = Callable[..., Any]


class _Prometheus(BaseHTTPRequestHandler):
    """Answers each query with the series that the test has for it, and notes what it was asked."""

    series: Mapping[str, list[tuple[dict[str, str], float]]]
    asked: list[str]

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        form = {name: values[0] for name, values in parse_qs(address.query).items()}
        kind = address.path.rpartition("/")[2]
        body = json.dumps({"status": "success", "data": self._data(kind, form)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _data(self, kind: str, form: dict[str, str]) -> Any:
        if kind == "values":
            return ["a.b", "c", HOSTILE]
        self.asked.append(form["query"])
        found = self.series.get(form["query"], [])
        if kind == "query":
            at = float(form["time"])
            return {"resultType": "vector", "result": [{"metric": m, "value": [at, str(v)]} for m, v in found]}
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        times = [start + index * step for index in range(int((end - start) / step) + 1)]
        return {
            "resultType": "matrix",
            "result": [{"metric": m, "values": [[at, str(v)] for at in times]} for m, v in found],
        }

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this module: while it runs, no other event loop can."""
    with chromium() as started:
        yield started


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Opened:
    """Opens a dashboard of these panels, with these answers of Prometheus."""

    @contextmanager
    def open_(
        *panels: dict[str, Any], variables: Sequence[dict[str, Any]] = (), address: str = "", **series: Any
    ) -> Iterator[tuple[Looked, list[str]]]:
        board = {"uid": "mine", "title": "Mine", "panels": panels, "templating": {"list": list(variables)}}
        (tmp_path / "mine.json").write_text(json.dumps(board))
        asked: list[str] = []
        answers = type("Answers", (_Prometheus,), {"series": series, "asked": asked})
        with _served(ThreadingHTTPServer(("127.0.0.1", 0), answers)) as prometheus:
            server = Server("127.0.0.1", 0, Site(load([tmp_path]), chart_library(), 15), Upstream(prometheus))
            thread = threading.Thread(target=server.serve, daemon=True)
            thread.start()
            times = f"from={START - 3600}000&to={START}000&refresh="
            with looking(browser, f"{server.url}d/mine?{times}&{address}") as looked:
                looked.wait_drawn()
                yield looked, asked
            server.close()
            thread.join(10)

    return open_


@contextmanager
def _served(server: ThreadingHTTPServer) -> Iterator[str]:
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def panel(kind: str, expr: str = "q", **more: Any) -> dict[str, Any]:
    """A panel of one query, as large as a quarter of the window."""
    target = {
        "refId": "A",
        "expr": expr,
        "legendFormat": more.pop("legend", "{{name}}"),
        "instant": kind != "timeseries",
    }
    place = more.pop("place", {"x": 0, "y": 0, "w": 12, "h": 8})
    return {"type": kind, "title": kind, "targets": [target], "gridPos": place, "fieldConfig": {"defaults": {}}, **more}


def _one(looked: Looked, selector: str) -> str:
    [text] = looked.texts(selector)
    return text


def defaults(**config: Any) -> dict[str, Any]:
    """Fields with these defaults."""
    return {"fieldConfig": {"defaults": config, "overrides": []}}


def test_labels_are_texts(opened: Opened) -> None:
    """Markup in a label's value is shown as it is and runs nothing, in each kind of panel, in tooltips and in variables."""
    variable = {"type": "query", "name": "v", "query": "label_values(x)", "multi": True, "current": {"value": HOSTILE}}
    look = {"options": {"legend": {"displayMode": "table"}, "tooltip": {"mode": "multi"}}}
    kinds = ("stat", "bargauge", "gauge", "table")
    panels = [panel("timeseries", title="$v", **look), *(panel(kind, title=f"{kind} $v") for kind in kinds)]
    for number, declared in enumerate(panels):
        declared["gridPos"] = {"x": 0, "y": number * 8, "w": 12, "h": 8}
    series = [({"name": HOSTILE}, 1.0), ({"name": "other"}, 2.0)]
    with opened(*panels, variables=[variable], q=series) as (looked, _):
        looked.page.locator(".choice summary").click()
        looked.page.locator(".chart .nsewdrag").first.hover(force=True)
        looked.page.wait_for_selector(".hoverlayer text")
        for each in looked.page.locator(".panel").all():
            assert HOSTILE in each.locator(".body").inner_text()
        assert looked.page.locator("img").count() == 0
        assert looked.page.evaluate("window.wasRun") is None
        assert looked.complaints == []


READ = [
    (0.1234, {"unit": "percentunit"}, "12.3%"),
    (1536, {"unit": "bytes"}, "1.5 KiB"),
    (1500, {"unit": "reqps"}, "1.5 Kreq/s"),
    (1500, {"unit": "mps"}, "1.5 Kmsg/s"),
    (90, {"unit": "s"}, "1.5 mins"),
    (0.0021, {"unit": "s"}, "2.1 ms"),
    (3.14159, {"unit": "none", "decimals": 0}, "3"),
    (1234567, {"unit": "locale"}, "1,234,567"),
    (1234567, {"unit": "short"}, "1.23 Mil"),
    (0.5, {"unit": "currencyUSD"}, "$0.50"),
    (7, {"unit": "suffix:things"}, "7 things"),
    (7, {"unit": "things"}, "7 things"),
    (1, {"mappings": [{"type": "value", "options": {"1": {"text": "up", "color": "green"}}}]}, "up"),
    (5, {"mappings": [{"type": "range", "options": {"from": 3, "to": 9, "result": {"text": "some"}}}]}, "some"),
    (math.nan, {"mappings": [{"type": "special", "options": {"match": "nan", "result": {"text": "none"}}}]}, "none"),
    (math.nan, {}, "NaN"),
]


def test_values_read_as_in_grafana(opened: Opened) -> None:
    """Units, decimals and mappings write a value as Grafana does."""
    panels = [
        panel(
            "stat",
            f"q{number}",
            title=str(config),
            place={"x": 0, "y": 4 * number, "w": 6, "h": 4},
            **defaults(**config),
        )
        for number, (_, config, _) in enumerate(READ)
    ]
    answers = {f"q{number}": [({}, value)] for number, (value, _, _) in enumerate(READ)}
    with opened(*panels, **answers) as (looked, _):
        assert looked.texts(".single .value") == [shown for _, _, shown in READ]


def _variable(name: str, query: str, value: str | list[str], **more: Any) -> dict[str, Any]:
    return {"type": "query", "name": name, "query": query, "current": {"value": value}, **more}


def test_queries_have_their_variables(opened: Opened) -> None:
    """Several values are a pattern of texts, All is what the dashboard says, and built-in ones follow range and width."""
    some = _variable("some", "label_values(m, l)", ["a.b", "c"], multi=True)
    every = _variable("every", "label_values(l)", "$__all", includeAll=True, allValue=".+")
    fixed = {"type": "constant", "name": "fixed", "query": "f"}
    custom = {"type": "custom", "name": "custom", "query": "One : 1,Two : 2", "current": {"value": "2"}}
    expr = 'x{a=~"$some", b=~"${every}", c="[[fixed]]", d="${custom}"}[$__range] $__rate_interval ${some:csv}'
    with opened(panel("stat", expr), variables=[some, every, fixed, custom]) as (_, asked):
        assert asked == [r'x{a=~"(a\\.b|c)", b=~".+", c="f", d="2"}[3600s] 60s a.b,c']


def test_choice_asks_anew(opened: Opened) -> None:
    """What is chosen in the page is asked, and is in the address, which leads to the same page."""
    variable = _variable("v", "label_values(l)", "$__all", multi=True, includeAll=True)
    with opened(panel("stat", 'x{l=~"$v"}'), variables=[variable]) as (looked, asked):
        looked.page.locator("[data-variable=v] summary").click()
        looked.page.locator("[data-variable=v] label", has_text="a.b").click()
        looked.page.locator("[data-variable=v] summary").click()
        looked.page.wait_for_url("**var-v=a.b**")
        looked.wait_drawn()
        assert asked[-1] == r'x{l=~"a\\.b"}'


def test_rows_open_on_a_click(opened: Opened) -> None:
    """A collapsed row is closed and asks nothing until it is opened."""
    row = {
        "type": "row",
        "title": "More",
        "collapsed": True,
        "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1},
        "panels": [panel("stat")],
    }
    with opened(row, q=[({}, 7)]) as (looked, asked):
        assert (asked, looked.page.locator(".panel:visible").count()) == ([], 0)
        looked.page.locator(".row").click()
        assert looked.page.locator(".single .value").inner_text() == "7"
        looked.page.locator(".row").click()
        assert looked.page.locator(".panel:visible").count() == 0


@pytest.mark.parametrize(
    ("declared", "state", "said"),
    [
        (panel("heatmap"), "unsupported", "“heatmap” are not drawn here"),
        (panel("stat", transformations=[{"id": "calculateField"}]), "unsupported", "“calculateField” is not known"),
        (panel("stat", "nothing"), "empty", "No data"),
        (panel("timeseries", "nothing", **defaults(noValue="quiet")), "empty", "quiet"),
    ],
)
def test_what_is_not_drawn_says_so(opened: Opened, declared: dict[str, Any], state: str, said: str) -> None:
    """A kind or transformation that is not known here, and a query without data, are said in the panel."""
    with opened(declared, q=[({}, 1)]) as (looked, _):
        assert looked.page.locator(".panel").get_attribute("data-state") == state
        assert said in _one(looked, ".said")


def test_overrides_are_kept(opened: Opened) -> None:
    """What a dashboard says of one field by name, pattern or query holds for that one alone."""
    overrides = [
        {
            "matcher": {"id": "byName", "options": "a"},
            "properties": [{"id": "unit", "value": "s"}, {"id": "displayName", "value": "first"}],
        },
        {"matcher": {"id": "byRegexp", "options": "/^b/"}, "properties": [{"id": "unit", "value": "percent"}]},
    ]
    declared = panel("bargauge", fieldConfig={"defaults": {"unit": "none"}, "overrides": overrides})
    with opened(declared, q=[({"name": "a"}, 1), ({"name": "b"}, 2), ({"name": "c"}, 3)]) as (looked, _):
        assert looked.texts(".bar .name") == ["first", "b", "c"]
        assert looked.texts(".bar .value") == ["1 s", "2%", "3"]


def test_legend_is_sorted_with_calculations(opened: Opened) -> None:
    """A legend has the calculations that the panel asks for, in the order that it asks for; a click shows one series alone."""
    legend = {"displayMode": "table", "calcs": ["lastNotNull", "max"], "sortBy": "Last *", "sortDesc": True}
    with opened(panel("timeseries", options={"legend": legend}), q=[({"name": "low"}, 1), ({"name": "high"}, 5)]) as (
        looked,
        _,
    ):
        assert [text.split() for text in looked.texts(".legend tbody tr")] == [["high", "5", "5"], ["low", "1", "1"]]
        assert looked.page.locator(".chart .trace").count() == 2
        looked.page.locator(".legend button", has_text="low").click()
        assert looked.page.locator(".chart .trace").count() == 1


def test_table_merges_queries(opened: Opened) -> None:
    """Two queries of a table become one, with the columns that the dashboard orders and names, sorted by a click."""
    targets = [{"refId": ref, "expr": ref.lower(), "format": "table", "instant": True} for ref in ("A", "B")]
    organize = {"excludeByName": {"Time": True}, "renameByName": {"Value #A": "First", "Value #B": "Second"}}
    declared = panel(
        "table", targets=targets, transformations=[{"id": "merge"}, {"id": "organize", "options": organize}]
    )
    with opened(declared, a=[({"job": "x"}, 1), ({"job": "y"}, 2)], b=[({"job": "x"}, 3)]) as (looked, _):
        assert looked.texts("th") == ["job", "First", "Second"]
        assert looked.texts("tbody tr") == ["x\t1\t3", "y\t2\t-"]
        looked.page.locator("th", has_text="First").dblclick()
        assert looked.texts("tbody tr")[0] == "y\t2\t-"


def test_links_run_nothing(opened: Opened) -> None:
    """A link leads to a page, with time and variables if it asks for them; one that would run a script is none."""
    links = [
        {"title": "Runbook", "url": "${base}/a.md", "keepTime": True, "includeVars": False},
        {"title": "Bad", "url": "javascript:alert(1)"},
    ]
    base = {"type": "constant", "name": "base", "query": "https://runbooks.example"}
    declared = panel("stat", links=links, description="See `this` and [that](javascript:run).")
    with opened(declared, variables=[base], q=[({}, 1)]) as (looked, _):
        looked.page.locator(".info").hover()
        addresses = [link.get_attribute("href") for link in looked.page.locator(".tip a").all()]
        assert addresses == [f"https://runbooks.example/a.md?from={START - 3600}000&to={START}000"]
        assert _one(looked, ".tip > p:first-child") == "See this and that."


def test_panels_stand_where_the_dashboard_says(opened: Opened) -> None:
    """Panels are as wide and high, and stand where, their places in the grid of 24 columns say."""
    left, right = (
        panel("stat", place={"x": 0, "y": 0, "w": 6, "h": 4}),
        panel("stat", place={"x": 6, "y": 0, "w": 18, "h": 8}),
    )
    with opened(left, right, q=[({}, 1)]) as (looked, _):
        first, second = (each.bounding_box() for each in looked.page.locator(".panel").all())
        assert first is not None
        assert second is not None
        assert (first["height"], second["height"]) == (4 * 38 - 8, 8 * 38 - 8)
        assert second["width"] == pytest.approx(first["width"] * 3 + 16, abs=2)
        assert second["x"] > first["x"] + first["width"]


def test_repeated_panel_stands_for_each_value(opened: Opened) -> None:
    """A panel that a variable repeats is there for each chosen value, and asks for that one."""
    variable = {
        "type": "custom",
        "name": "v",
        "query": "a,b",
        "multi": True,
        "includeAll": True,
        "current": {"value": "$__all"},
    }
    declared = panel("stat", "x_$v", repeat="v", title="of $v")
    with opened(declared, variables=[variable], x_a=[({}, 1)], x_b=[({}, 2)]) as (looked, _):
        assert looked.texts(".panel h3") == ["of a", "of b"]
        assert looked.texts(".single .value") == ["1", "2"]


def test_prometheus_down_is_said(opened: Opened) -> None:
    """A query that Prometheus refuses is explained in its panel, and the others are drawn."""
    with opened(panel("stat"), panel("stat", "ok", title="fine"), q=[({}, 1)], ok=[({}, 2)]) as (looked, _):
        looked.page.route(
            "**/query?query=q**",
            lambda route: route.fulfill(status=400, json={"status": "error", "error": "parse error: bad"}),
        )
        looked.page.locator("[title='Refresh now']").click()
        looked.page.wait_for_selector(".panel[data-state=failed]")
        assert _one(looked, ".said") == "parse error: bad"
        assert _one(looked, "[data-title=fine] .value") == "2"


def test_cut_off_text_is_noticed(browser: Browser) -> None:
    """What the tests of pages ask, whether a text is cut off, notices texts that are too wide, too high, dotted or outside."""
    clip, texts = "overflow: hidden; width: 40px; height: 20px; white-space: nowrap", ("far too long a text", "fits")
    boxes = [f'<div class="box" data-title="{text}" style="{clip}"><span>{text}</span></div>' for text in texts]
    low = f'<div class="box" data-title="low" style="{clip}"><p style="margin: 15px 0">low</p></div>'
    dotted = f'<div class="box"><h2 style="{clip}; text-overflow: ellipsis">dotted as it is too long</h2></div>'
    scrolled = '<div class="box" style="overflow: auto; height: 20px"><p>scrolled</p><p>to</p></div>'
    with looking(browser, "about:blank") as looked:
        looked.page.set_content("".join([*boxes, low, dotted, scrolled]))
        noticed = [found.partition(":")[0] for found in looked.cut_off(".box")]
        assert noticed == ["far too long a text", "low", "dotted as it is too long"]
