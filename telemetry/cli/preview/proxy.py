"""The few questions of Prometheus' API that a dashboard asks, passed on to the one server that was named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from telemetry.cli import web

PATIENCE = 30.0
_ASKED = re.compile(r"/api/v1/(query|query_range|series|labels|label/[a-zA-Z_][a-zA-Z0-9_]*/values)")


@dataclass(frozen=True)
class Upstream:
    """One Prometheus.

    Attributes:
        url: Where it is, with the path before ``/api/v1``, if there is one.
    """

    url: str

    def ask(self, path: str, query: str) -> web.Answer | None:
        """Its answer, or None for what no dashboard asks: nothing else of the server can be reached this way."""
        if not _ASKED.fullmatch(path):
            return None
        return web.get(f"{self.url.rstrip('/')}{path}?{query}", PATIENCE, accept="application/json")

    @property
    def shown(self) -> str:
        """Its address for people, without a password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
