"""How one application is measured: who observes a request, by the Telemetry and the settings of that moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from telemetry import guard, process
from telemetry.domains.http import UNMATCHED, HttpRecorder
from telemetry.instrumentation.fastapi.matching import DeclaredRoute, declared_routes, route_it_would_take
from telemetry.instrumentation.fastapi.request import ObservedRequest
from telemetry.instrumentation.fastapi.route import SCOPE_KEY
from telemetry.instrumentation.fastapi.websocket import ObservedWebSocket
from telemetry.process import get
from telemetry.settings.exclusions import Exclusions

Observed = ObservedRequest | ObservedWebSocket

_OBSERVED_AS: Mapping[str, type[Observed]] = {"http": ObservedRequest, "websocket": ObservedWebSocket}


class Measurement:
    """Observes the requests of one application until it is closed.

    Args:
        excluded: What is not counted of this application, beside the settings.
        library: What the application is made with.
        tells: Whether routers tell which route they select; else it is matched before the request is served.

    Attributes:
        closed: Whether requests pass unobserved.
    """

    def __init__(self, excluded: Exclusions, library: str, *, tells: bool) -> None:
        self.closed = False
        self._library = library
        self._excluded = self._exclusions = excluded
        self._tells = tells
        self._telemetry: Any = None
        self._recorder: HttpRecorder

    def begin(self, app: Any, scope: Scope, receive: Receive, send: Send) -> Observed | None:
        """Who observes a request or connection; ``None`` where nobody does. Never raises.

        It is told to the scope, for routers and for measured applications further inside.
        """
        try:
            if self.closed or SCOPE_KEY in scope:
                return None
            telemetry = get()
            if telemetry is not self._telemetry:
                self._record_into(telemetry, app)
            kind = _OBSERVED_AS.get(scope["type"])
            if kind is None:
                return None
            if self._exclusions and self._excludes(app, scope):
                scope[SCOPE_KEY] = None
                return None
            observed = kind(app, self._recorder, self._exclusions, scope, receive, send)
            scope[SCOPE_KEY] = observed
            if not self._tells:
                _match(observed, app, scope)
        except Exception as error:
            guard.swallow(error, "beginning to observe a request")
            return None
        return observed

    def _excludes(self, app: Any, scope: Scope) -> bool:
        origin = _origin(scope) if self._exclusions.has_urls else ""
        return self._exclusions.cover(scope.get("method"), scope["path"], _root_path(app, scope), origin)

    def _record_into(self, telemetry: Any, app: Any) -> None:
        """``configure()`` may come after the application, and again in tests."""
        self._telemetry, self._recorder = telemetry, telemetry.http
        self._exclusions = self._excluded + telemetry.settings.exclusions_of(self._library)
        if telemetry is not process.current.configured:
            return  # nobody would see them at 0
        with guard.guarded("declaring the routes of an application"):
            _declare_routes(app, self._recorder, self._exclusions)


def _root_path(app: Any, scope: Scope) -> str:
    """What comes before the application's own paths; FastAPI puts its own into the scope later."""
    return str(getattr(app, "root_path", "") or scope.get("root_path", ""))


def _origin(scope: Scope) -> str:
    """What comes before the path in a URL, as OpenTelemetry's instrumentors have it."""
    named = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    host, port = scope.get("server") or ("0.0.0.0", 80)
    return f"{scope.get('scheme', 'http')}://{named or (host if port in {80, None} else f'{host}:{port}')}"


def _match(observed: Observed, app: Any, scope: Scope) -> None:
    with guard.guarded("finding the route of a request"):
        endpoint = route_it_would_take(app, {**scope, "root_path": _root_path(app, scope)})
        if endpoint is not None:
            observed.told(endpoint)


def _declare_routes(app: Any, recorder: HttpRecorder, exclusions: Exclusions) -> None:
    root_path = str(getattr(app, "root_path", ""))
    for route in declared_routes(app):
        if route.endpoint:
            recorder.declare_endpoint(route.endpoint)
        if not route.is_websocket:
            methods = sorted(route.methods - {"HEAD", "OPTIONS"})
            _declare(
                recorder,
                route,
                [method for method in methods if not exclusions.cover_route(method, route.endpoint, root_path)],
            )
        elif route.endpoint and not exclusions.cover_route(None, route.endpoint, root_path):
            recorder.websockets.declare(route.endpoint)


def _declare(recorder: HttpRecorder, route: DeclaredRoute, methods: Iterable[str]) -> None:
    endpoint = route.endpoint or UNMATCHED
    for method in methods:
        recorder.declare(method, endpoint, route.status_code)
        # So that an error rate is 0 before the first error, not absent.
        recorder.declare(method, endpoint, 500)
