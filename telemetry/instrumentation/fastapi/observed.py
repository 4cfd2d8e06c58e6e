"""What is known of every request and connection that is followed."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from starlette.types import Receive, Scope, Send

from telemetry.domains.http import HttpRecorder
from telemetry.instrumentation.fastapi.route import RouteListener
from telemetry.settings.exclusions import Exclusions


def only_error(error: BaseException) -> BaseException:
    """What a group of one exception has in it, as some versions of Starlette raise it where a stream breaks."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class ObservedScope(RouteListener):
    """A request or a connection.

    Args:
        app: The application that serves it.
        recorder: Counts it.
        exclusions: Routes that are not counted; which paths are not was decided before.
        scope: Of the request.
        receive: The server's.
        send: The server's.
    """

    _left_out = False

    def __init__(
        self, app: Any, recorder: HttpRecorder, exclusions: Exclusions, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._began = perf_counter()
        self._app = app
        self._recorder = recorder
        self._exclusions = exclusions
        self._scope = scope
        self._receive = receive
        self._send = send
        self._method: Any = scope.get("method")  # a connection has none

    def _is_left_out(self, endpoint: str) -> bool:
        return self._exclusions.cover_template(self._method, endpoint)
