"""Follows a request through routers and mounts to its route; ``routers.py`` lets them tell."""

from __future__ import annotations

from typing import Any

from telemetry.instrumentation.fastapi.matching import MOUNT_SUFFIX, routes_of

SCOPE_KEY = "telemetry.observed"


class RouteListener:
    """Who a request's routers tell; subclasses override ``selected``.

    One is made for every request, so its fields are class attributes until they are set.
    """

    _endpoint: str | None = None
    _open_mount: str | None = None
    _prefix = ""

    def selected(self, endpoint: str) -> None:
        """The request reached the route with this full template."""

    def told(self, template: str) -> None:
        """FastAPI is about to hand the request to the route with this template, included routers' prefixes in it."""
        self._reached(template)

    def handled(self, route: Any) -> None:
        """A route takes the request; FastAPI's own routes of included routers do not pass here, but are told."""
        template = getattr(route, "path_format", None)
        if template is not None:
            self._reached(template)

    def entered(self, mount: Any) -> None:
        """A mount takes the request, and hands it to the router inside, which will tell; anything else will not."""
        self._prefix += mount.path_format.removesuffix(MOUNT_SUFFIX)
        self._open_mount = self._prefix + MOUNT_SUFFIX
        if routes_of(mount.app) is None:
            self._reached(MOUNT_SUFFIX)

    def _reached(self, template: str) -> None:
        endpoint = self._prefix + template
        if endpoint != self._endpoint:
            self._endpoint = endpoint
            self.selected(endpoint)
