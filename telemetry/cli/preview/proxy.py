"""The few questions of Prometheus' API that a dashboard asks, passed on to the one server that was named."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from telemetry.cli import web
from telemetry.settings.destination import without_credentials
from telemetry.shipped import Choices

PATIENCE = 30.0
_OLDER = Choices(prometheus=(2, 0))
_ASKED = re.compile(r"/api/v1/(query|query_range|series|labels|label/[a-zA-Z_][a-zA-Z0-9_]*/values)")


@dataclass(frozen=True)
class Upstream:
    """One Prometheus.

    Attributes:
        url: Where it is, with the path before ``/api/v1``, if there is one.
    """

    url: str

    def ask(self, path: str, query: str) -> web.Answer | None:
        """Its answer, or None for what no dashboard asks: nothing else of the server can be reached this way.

        What a server refuses that knows no anchored windows is asked without them.
        """
        if not _ASKED.fullmatch(path):
            return None
        answer, plain = self._answer(path, query), _without_anchors(query)
        return self._answer(path, plain) if plain and answer.status == http.client.BAD_REQUEST else answer

    def _answer(self, path: str, query: str) -> web.Answer:
        return web.get(f"{self.url.rstrip('/')}{path}?{query}", PATIENCE, accept="application/json")

    @property
    def shown(self) -> str:
        """Its address for people, without credentials."""
        return without_credentials(self.url)


def _without_anchors(query: str) -> str:
    """The parameters as a Prometheus before 3.16 takes them; empty where they are the same."""
    asked = parse_qsl(query, keep_blank_values=True)
    plain = [(name, _OLDER.applied(value)) for name, value in asked]
    return urlencode(plain) if plain != asked else ""
