"""The sink without a collector: any process of the host serves the totals of all, living and dead.

Every process counts into its box and publishes its levels; whichever has the port, or a route in the application, reads
the boxes of the state directory. What dead processes counted is added up by whoever notices first.
"""

from __future__ import annotations

import errno
import gzip
import logging
import threading
import time
from asyncio import to_thread
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from socket import AF_INET6, SHUT_RDWR
from socketserver import TCPServer
from typing import Any, NamedTuple, Protocol
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import ThreadingWSGIServer, choose_encoder
from prometheus_client.registry import Collector

from telemetry import guard
from telemetry.box.box import Box
from telemetry.box.header import Role
from telemetry.box.host import Host, Standing
from telemetry.box.identity import Entry, Identity, Kind, ReadEntry
from telemetry.metrics.series import GaugeSeries, Series
from telemetry.pipeline.access import AccessError, Certificates, is_let_in
from telemetry.pipeline.adoption import Settle
from telemetry.pipeline.exposition import families
from telemetry.pipeline.observation import Observation
from telemetry.pipeline.sums import group_of
from telemetry.settings.readers import Readers
from telemetry.settings.settings import Settings

_logger = logging.getLogger("telemetry")

LONGEST_INTERVAL = 2.0  # between two looks at what lives and what is dead
LONGEST_OBSERVATION = 1.0
_SERVES = Identity("telemetry_endpoint", Kind.NOTE)  # on the page of a process: where it listens


class Source(Protocol):
    """What a process has to show."""

    def box(self) -> Box:
        """Its box."""

    def boxes(self) -> list[Box]:
        """The same, and those before."""

    def series(self) -> Iterable[Series]:
        """Its levels and gauges."""

    def observe(self) -> None:
        """Ask the application."""

    def look_after_boxes(self) -> None:
        """Say that the process lives."""


class Page(NamedTuple):
    """An answer to a scrape."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class PrometheusEndpoint:
    """The endpoint of a host, as this process has a part in it.

    Args:
        settings: Where it listens, and which directory it is about.
        source: What this process has to show.
        settle: Comes back to the notes of a dead process.
    """

    def __init__(self, settings: Settings, source: Source, settle: Settle) -> None:
        self._settings = settings
        self._source = source
        self._host = Host(settings.box_directory, group_of, settle)
        self._observation = Observation(source.observe)
        self._reading = threading.RLock()
        self._server: _Server | None = None
        self._said = False
        self._said_of_tokens = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry-endpoint", daemon=True)
        self._registry = CollectorRegistry()
        self._registry.register(_OfHost(self._families))

    # --- the life of a process ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen, where no other process of the host does, and look after the boxes from now on."""
        self._observation.start()
        self._listen()
        self._publish()
        self._thread.start()

    def force_flush(self, timeout: float) -> bool:
        """Let the other processes see how things stand; totals they see anyway."""
        self._observation.observe(timeout)
        self._publish()
        return True

    def deliver_before_exit(self, timeout: float) -> bool:
        """There is nothing to deliver: what was counted is in the box."""
        return True

    def shutdown(self, timeout: float) -> None:
        """Ask the application for the last time and close the endpoint; another process of the host opens it again."""
        self._observation.observe(min(timeout / 2, LONGEST_OBSERVATION))
        self.leave()

    def leave(self) -> None:
        """Close the endpoint; another process of the host opens it again."""
        self._stopped.set()
        self._observation.close()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def after_fork_in_child(self) -> None:
        """Let go of the inherited socket: nobody would answer on it once the parent is gone."""
        server, self._server = self._server, None
        if server is not None:
            server.socket.close()

    def _run(self) -> None:
        while not self._stopped.wait(min(LONGEST_INTERVAL, self._settings.export_interval)):
            with guard.guarded("looking after the boxes of this host"):
                self._listen()
                self._observation.observe(LONGEST_OBSERVATION)
                self._publish()
                self._host.absorb()

    # --- what there is to show ----------------------------------------------------------------------------------------

    def _publish(self) -> None:
        with self._reading:
            self._source.look_after_boxes()
            self._source.box().publish(list(self._rows()))

    def _rows(self) -> Iterator[tuple[Entry, float, float]]:
        now = time.time()
        for series in self._source.series():
            yield series, series.standing(), series.at if isinstance(series, GaugeSeries) else now
        if self._server is not None:
            yield ReadEntry(_SERVES, ("host", "port"), self._address()), 1.0, now

    def _address(self) -> tuple[str, int]:
        return self._settings.prometheus_host, self._settings.prometheus_port

    def _families(self) -> list[Metric]:
        self._observation.observe(LONGEST_OBSERVATION)
        self._publish()
        with self._reading:
            boxes = self._source.boxes()
            own = [Standing(box.process, list(box.standing(Role.TOTALS)), exemplars=box.exemplars()) for box in boxes]
            own[0].page = list(self._rows())
            host = [*self._host.read([box.path for box in boxes if box.path]), *own]
            return list(families(map(_without_own_rows, host)))

    def page(self, accept: str, accept_encoding: str, authorization: str = "") -> Page:
        """What a scrape gets, in the format it asks for; one without the token that is asked for gets nothing."""
        try:
            if not is_let_in(self._settings.readers, authorization):
                return _closed()
        except AccessError as error:
            self._say_of_tokens(error)
            return _unavailable("the tokens of readers cannot be read now; the log says why")
        try:
            encode, content_type = choose_encoder(accept)
            body = encode(self._registry)
        except Exception as error:
            _logger.warning("the boxes in %s cannot be read: %r", self._settings.box_directory, error)
            return _unavailable("the counts of this host cannot be read now; the log says why")
        headers = [("Content-Type", content_type)]
        if "gzip" in accept_encoding:
            body = gzip.compress(body, compresslevel=1)
            headers.append(("Content-Encoding", "gzip"))
        return Page("200 OK", headers, body)

    def _say_of_tokens(self, error: AccessError) -> None:
        if not self._said_of_tokens:
            self._said_of_tokens = True
            _logger.error("%s; until then nobody can read the endpoint", error)

    # --- the port -----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._server is not None:
            return
        host, _ = self._address()
        try:
            certificates = Certificates(self._settings.readers)
            server = make_server(
                *self._address(), wsgi_app(lambda: self), server_class=_server_for(host), handler_class=_Quiet
            )
        except AccessError as error:
            self._say_of_certificates(error)
            return
        except OSError as error:
            self._explain(error)
            return
        server.certificates, server.readers = certificates, self._settings.readers
        self._server, self._said = server, False
        threading.Thread(target=server.serve_forever, name="telemetry-scrapes", daemon=True).start()

    def _say_of_certificates(self, error: AccessError) -> None:
        if not self._said:
            self._said = True
            _logger.error("%s; until then the endpoint is not opened", error)

    def _explain(self, error: OSError) -> None:
        if self._said or (error.errno == errno.EADDRINUSE and self._is_served()):
            return
        self._said = True
        _logger.error(
            "OTEL_EXPORTER_PROMETHEUS_PORT=%d cannot be used (%s): choose a free port; processes that share the "
            "directory TELEMETRY_STATE_DIR=%s share one port, which any of them serves",
            self._settings.prometheus_port,
            error.strerror,
            self._settings.box_directory,
        )

    def _is_served(self) -> bool:
        """Whether another process of the host listens there: then everything is as it should be."""
        with guard.guarded("looking for who serves"):
            rows = (row for standing in self._host.read() for row in standing.page)
            return any(entry.identity.name == _SERVES.name and entry.values == self._address() for entry, *_ in rows)
        return False


class _OfHost(Collector):
    """The families of a host, for the client library."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        """Every family, as it stands now."""
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        """They are not known before they are read."""
        return ()


class _Server(ThreadingWSGIServer):
    """Takes few connections at once, each of which may cost a thread: a slow one makes room for who comes later.

    It does not ask a name server, which may take its time, by which name this host is known.

    Attributes:
        certificates: Whom it lets in.
        readers: How many at once, and for how long.
    """

    certificates: Certificates
    readers: Readers

    def __init__(self, *given: Any) -> None:
        self._open: dict[Any, float] = {}  # the oldest first
        super().__init__(*given)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, where there is room."""
        if not self._has_room():
            self.shutdown_request(request)
            return
        self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The end of a connection."""
        self._open.pop(request, None)
        super().shutdown_request(request)

    def _has_room(self) -> bool:
        if len(self._open) < self.readers.connections:
            return True
        oldest, since = next(iter(list(self._open.items())), (None, 0.0))
        if oldest is None or time.monotonic() - since < self.readers.yield_after:
            return oldest is None
        self._open.pop(oldest, None)
        with suppress(OSError):  # its thread was quicker
            oldest.shutdown(SHUT_RDWR)
        return True

    def get_request(self) -> tuple[Any, Any]:
        """The next connection. Its handshake is made by its own thread: here it would keep others from being served."""
        connection, address = super().get_request()
        context = self.certificates.context()
        if context is None:
            return connection, address
        return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up, or is not let in, is no news."""

    def server_bind(self) -> None:
        """Take the port."""
        TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()


class _ServerOfIPv6(_Server):
    """The same for an address of IPv6."""

    address_family = AF_INET6


def _server_for(host: str) -> type[_Server]:
    return _ServerOfIPv6 if ":" in host else _Server


class _Quiet(WSGIRequestHandler):
    """A scrape is no news, and who says nothing is not waited for."""

    server: _Server

    def setup(self) -> None:
        """Have the connection end when it is silent."""
        super().setup()
        self.connection.settimeout(self.server.readers.idle_timeout)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Say nothing."""


def wsgi_app(endpoint: Callable[[], PrometheusEndpoint | None]) -> Callable[..., Sequence[bytes]]:
    """The endpoint as a WSGI application.

    Args:
        endpoint: The one of the calling process; ``None`` where metrics go elsewhere.
    """

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Sequence[bytes]:
        page = _page_of(endpoint(), *(environ.get(f"HTTP_{name}", "") for name in _HEADERS))
        start_response(page.status, page.headers)
        return [page.body]

    return app


def asgi_app(endpoint: Callable[[], PrometheusEndpoint | None]) -> Callable[..., Any]:
    """The endpoint as an ASGI application, which reads the boxes in a thread.

    Args:
        endpoint: The one of the calling process; ``None`` where metrics go elsewhere.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        said = (headers.get(name.lower().replace("_", "-"), "") for name in _HEADERS)
        page = await to_thread(_page_of, endpoint(), *said)
        raw = [(name.encode(), value.encode()) for name, value in page.headers]
        await send({"type": "http.response.start", "status": int(page.status[:3]), "headers": raw})
        await send({"type": "http.response.body", "body": page.body})

    return app


_HEADERS = ("ACCEPT", "ACCEPT_ENCODING", "AUTHORIZATION")


def _page_of(endpoint: PrometheusEndpoint | None, accept: str, accept_encoding: str, authorization: str) -> Page:
    if endpoint is None:
        return _unavailable("OTEL_METRICS_EXPORTER has no 'prometheus': the metrics of this process are not shown here")
    return endpoint.page(accept, accept_encoding, authorization)


_TEXT = ("Content-Type", "text/plain; charset=utf-8")


def _unavailable(sentence: str) -> Page:
    return Page("503 Service Unavailable", [_TEXT], f"{sentence}\n".encode())


def _closed() -> Page:
    body = b"a bearer token is needed here, one of those in TELEMETRY_PROMETHEUS_TOKEN_FILE\n"
    return Page("401 Unauthorized", [_TEXT, ("WWW-Authenticate", "Bearer")], body)


def _without_own_rows(standing: Standing) -> Standing:
    standing.page = [row for row in standing.page if row[0].identity.name != _SERVES.name]
    return standing
