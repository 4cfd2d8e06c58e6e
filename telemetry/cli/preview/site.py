"""The files of the site by their address: pages, scripts, dashboards, runbooks; no other path leads to a file."""

from __future__ import annotations

import gzip
import json
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from telemetry import extras
from telemetry.cli.preview.dashboards import Dashboard
from telemetry.shipped import shipped

_PAGES = Path(__file__).parent / "pages"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


def chart_library() -> Path:
    """The script that draws charts; plotly's package carries it.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    with extras.needed("preview", "fleet-telemetry preview"):
        import plotly
    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


@dataclass
class File:
    """What an address answers.

    Attributes:
        media_type: Of the content.
        read: Gives the content.
        is_kept: Whether a browser need not ask again for a day.
    """

    media_type: str
    read: Callable[[], bytes]
    is_kept: bool = False

    @cached_property
    def packed(self) -> bytes:
        """The content, compressed; what does not change while the preview runs is compressed once."""
        return gzip.compress(self.read(), 1)


class Site:
    """Every address.

    Args:
        dashboards: By uid.
        charts: The script that draws charts.
        scrape_interval: Of Prometheus, in seconds.
    """

    def __init__(self, dashboards: Mapping[str, Dashboard], charts: Path, scrape_interval: float) -> None:
        page = _of(_PAGES / "index.html")
        summaries = [dashboard.summary() for dashboard in dashboards.values()]
        self._files = {
            "/": page,
            "/plotly.min.js": replace(_of(charts), is_kept=True),
            "/api/site": _json({"dashboards": summaries, "scrapeInterval": scrape_interval}),
            **{f"/assets/{file.relative_to(_PAGES)}": _of(file) for file in _PAGES.rglob("*.*")},
            **{f"/d/{uid}": page for uid in dashboards},
            **{f"/api/dashboards/{uid}": _json(dashboard.content) for uid, dashboard in dashboards.items()},
            **{f"/{name}": _text(file) for name, file in shipped().items() if name.startswith("docs/")},
        }

    def file(self, path: str) -> File | None:
        """What an address answers, if there is such an address; what follows a dashboard's uid is for people."""
        parts = path.split("/")
        return self._files.get("/".join(parts[:3]) if parts[1:2] == ["d"] else path)


def _of(file: Path) -> File:
    media_type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return File(f"{media_type}; charset=utf-8", file.read_bytes)


def _text(file: Path) -> File:
    return File("text/plain; charset=utf-8", file.read_bytes)


def _json(content: Any) -> File:
    body = json.dumps(content).encode()
    return File("application/json", lambda: body)
