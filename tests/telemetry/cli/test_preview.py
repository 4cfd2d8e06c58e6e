"""`fleet-telemetry preview`: which files it shows, what it passes on to Prometheus and what it does not."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from telemetry.cli.main import main
from telemetry.cli.preview import site as sites
from telemetry.cli.preview.dashboards import DashboardError, load
from telemetry.cli.preview.proxy import Upstream
from telemetry.cli.preview.server import Server
from telemetry.runbooks import RUNBOOKS

BOARD = {"uid": "mine", "title": "Mine", "panels": []}


class _Prometheus(BaseHTTPRequestHandler):
    """Answers with what it was asked, and knows no anchored windows."""

    def do_GET(self) -> None:
        body = json.dumps({"status": "success", "data": self.path}).encode()
        self.send_response(400 if "anchored" in self.path else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def prometheus() -> Iterator[str]:
    """The address of a server that answers like Prometheus, and says what it was asked."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Prometheus) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/base"
        server.shutdown()


@pytest.fixture
def preview(tmp_path: Path, prometheus: str) -> Iterator[Callable[..., httpx.Response]]:
    """A running preview of one dashboard; gives its answers."""
    (tmp_path / "mine.json").write_text(json.dumps(BOARD))
    site = sites.Site(load([tmp_path]), sites.chart_library(), 15)
    server = Server("127.0.0.1", 0, site, Upstream(prometheus))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    with httpx.Client(base_url=server.url) as client:
        yield client.get
    server.close()
    thread.join(10)


@pytest.mark.parametrize(
    "path", ["query?query=up", "query_range?query=up&start=1&end=2&step=1", "label/job/values?match[]=up"]
)
def test_questions_are_passed_on(preview: Callable[..., httpx.Response], path: str) -> None:
    """What a dashboard asks reaches the Prometheus that was named, below its path."""
    assert preview(f"/prometheus/api/v1/{path}").json()["data"] == f"/base/api/v1/{path}"


@pytest.mark.parametrize(
    "path",
    [
        "api/v1/status/config",
        "api/v1/targets",
        "api/v1/admin/tsdb/snapshot",
        "api/v1/label/../../status/config/values",
        "metrics",
        "-/quit",
    ],
)
def test_nothing_else_is_passed_on(preview: Callable[..., httpx.Response], path: str) -> None:
    """Neither the server's configuration nor its administration can be reached."""
    assert preview(f"/prometheus/{path}").status_code == 404


@pytest.mark.parametrize("path", ["/assets/../server.py", "/assets/%2e%2e/server.py", "/etc/passwd", "/d/other"])
def test_only_known_files_are_shown(preview: Callable[..., httpx.Response], path: str) -> None:
    """No path leads to a file that is not part of the site."""
    assert preview(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/d/mine", "/d/mine/my-dashboard", "/assets/main.js", "/plotly.min.js"])
def test_pages_run_own_scripts_only(preview: Callable[..., httpx.Response], path: str) -> None:
    """Every page forbids scripts that are not its own, whatever a label or a dashboard contains."""
    answer = preview(path)
    assert answer.status_code == 200
    assert "script-src 'self';" in answer.headers["content-security-policy"]


def test_other_names_are_refused(preview: Callable[..., httpx.Response]) -> None:
    """A page of another site whose name leads to this machine reads nothing."""
    assert preview("/api/site", headers={"Host": "evil.example"}).status_code == 403
    assert preview("/api/site", headers={"Host": "localhost:8300"}).status_code == 200


def test_own_dashboards_are_shown(preview: Callable[..., httpx.Response]) -> None:
    """Files of the user's are listed and given as they are."""
    assert [board["uid"] for board in preview("/api/site").json()["dashboards"]] == ["mine"]
    assert preview("/api/dashboards/mine").json() == BOARD


def test_package_brings_dashboards() -> None:
    """Without files of the user's, the package's own are shown."""
    assert set(load()) == {"application-performance", "celery-monitoring", "telemetry-health"}


def test_exports_of_the_api_are_read(tmp_path: Path) -> None:
    """What Grafana's API gives wraps the dashboard, and one without uid goes by its file's name."""
    (tmp_path / "a.json").write_text(json.dumps({"dashboard": {"title": "A", "panels": []}, "meta": {}}))
    assert load([tmp_path / "a.json"])["a"].title == "A"


@pytest.mark.parametrize(("content", "said"), [("{", "cannot be read as JSON"), ("[]", "no list `panels`")])
def test_no_dashboard_is_explained(tmp_path: Path, content: str, said: str) -> None:
    """A file that is no dashboard is named with the reason."""
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DashboardError, match=f"a.json.*{said}"):
        load([tmp_path])


def test_dashboards_that_are_not_there_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be shown is said in a sentence, with status 2."""
    assert main(["preview", "--dashboards", "/nonexistent"]) == 2
    assert "there is no /nonexistent" in capsys.readouterr().err


def test_password_of_prometheus_is_not_shown() -> None:
    """The address that the command and the pages show has no credentials."""
    assert Upstream("http://me:sEcReT@127.0.0.1:9090/base").shown == "http://127.0.0.1:9090/base"


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra, the `pip install` that brings it is said."""
    monkeypatch.setitem(sys.modules, "plotly", None)
    assert main(["preview"]) == 2
    assert "pip install 'fleet-telemetry[preview]'" in capsys.readouterr().err


def test_older_prometheus_is_asked_plainly(preview: Callable[..., httpx.Response]) -> None:
    """One that refuses an anchored window gets the query without; what else it refuses stays refused."""
    counted = preview("/prometheus/api/v1/query", params={"query": "increase(x[1h] anchored)", "time": "5"})
    assert counted.json()["data"] == "/base/api/v1/query?query=increase%28x%5B1h%5D%29&time=5"
    assert preview("/prometheus/api/v1/query", params={"query": "anchored("}).status_code == 400


def test_links_lead_to_its_own_runbooks(tmp_path: Path) -> None:
    """Where a dashboard names the default address of runbooks, the preview shows the page itself."""
    (tmp_path / "mine.json").write_text(json.dumps({**BOARD, "links": [{"url": f"{RUNBOOKS}/CollectorDown.md"}]}))
    dashboards = load([tmp_path])
    address = dashboards["mine"].content["links"][0]["url"]
    page = sites.Site(dashboards, sites.chart_library(), 15).file(address)
    assert page is not None
    assert page.read().startswith(b"# CollectorDown")
