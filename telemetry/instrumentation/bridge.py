"""The one table from foreign instruments to documented metrics.

Instrumentors record by the semantic conventions; Views could rename their metrics but not their label keys, so each
measurement is translated into a domain verb. Where a hook of ours measures the same domain, the instrumentor's version
is dropped, so two sources at once never count twice. What instrumentors record goes on under its own name, too, where
``TELEMETRY_PASS_UNCATALOGUED`` asks for it: those are other metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from opentelemetry import metrics as api
from opentelemetry.context import Context
from opentelemetry.util.types import Attributes

from telemetry import guard
from telemetry.box.identity import Scope
from telemetry.catalogue import Spec, database, http, llm
from telemetry.domains.database import DatabaseRecorder
from telemetry.domains.errors import ErrorsRecorder
from telemetry.domains.http import CLIENT_CLOSED_REQUEST, UNMATCHED, HttpRecorder, known
from telemetry.domains.llm_tokens import TokenUsage
from telemetry.instrumentation.llm.calls import LlmCalls
from telemetry.metrics.meter import silent
from telemetry.metrics.views import Instrument
from telemetry.settings.settings import Settings


class Recorders(Protocol):
    """Where translated measurements go, and what says which of them do."""

    settings: Settings
    http: HttpRecorder
    llm: LlmCalls
    database: DatabaseRecorder
    errors: ErrorsRecorder

    @property
    def own_sources(self) -> frozenset[str]:
        """Domains that hooks of ours measure in this process, asked at each measurement."""


Values = Mapping[str, Any]
Record = Callable[[Recorders, float, Values], None]

_NOT_A_MODEL = frozenset({"create_agent", "execute_tool", "invoke_agent", "invoke_workflow", "retrieval"})
_INSTRUMENTORS = "opentelemetry.instrumentation."


@dataclass(frozen=True)
class Rule:
    """What becomes of a foreign instrument.

    Attributes:
        domain: The domain it measures; a hook of ours on that domain takes precedence.
        unless: An instrument that says the same; where one meter has both, this one is dropped.
        record: Calls the domain verb for one measurement; ``None`` drops the instrument.
        onto: The metrics it lands on.
        reason: Why it is dropped.
    """

    domain: str
    record: Record | None = None
    onto: tuple[Spec[Any], ...] = ()
    reason: str = ""
    unless: str = ""


def _first(attributes: Values, *names: str, default: str = "unknown") -> str:
    for name in names:
        if attributes.get(name) not in (None, ""):
            return str(attributes[name])
    return default


def _endpoint(attributes: Values) -> http.EndpointLabels:
    method = known(_first(attributes, "http.request.method", "http.method"))
    return {"method": method, "endpoint": _first(attributes, "http.route", "http.target", default=UNMATCHED)}


def _http_request(telemetry: Recorders, seconds: float, attributes: Values) -> None:
    labels = _endpoint(attributes)
    status = _first(attributes, "http.response.status_code", "http.status_code", default=str(CLIENT_CLOSED_REQUEST))
    telemetry.http.answered(labels["method"], labels["endpoint"], int(status), seconds)


def _old_http_request(telemetry: Recorders, milliseconds: float, attributes: Values) -> None:
    _http_request(telemetry, milliseconds / 1000, attributes)


def _request_size(telemetry: Recorders, size: float, attributes: Values) -> None:
    telemetry.http.request_size.record(size, _endpoint(attributes))


def _response_size(telemetry: Recorders, size: float, attributes: Values) -> None:
    telemetry.http.response_size.record(size, _endpoint(attributes))


def _query(telemetry: Recorders, seconds: float, attributes: Values) -> None:
    operation = _first(attributes, "db.operation.name", "db.operation", default="other").upper()
    table = _first(attributes, "db.collection.name", "db.sql.table", default="other")
    telemetry.database.query_executed(operation if operation != "OTHER" else "other", table, seconds)


def _model(attributes: Values) -> tuple[str, str]:
    """Vendor and model as the application asked for it: an error has no other, and prices know it."""
    provider = _first(attributes, "gen_ai.provider.name", "gen_ai.system")
    return provider, _first(attributes, "gen_ai.request.model", "gen_ai.response.model")


def _is_recorded(telemetry: Recorders, attributes: Values) -> bool:
    """Whether a record is of a call to a model, and of one that the application does not record itself."""
    operation = _first(attributes, "gen_ai.operation.name", default="chat")
    return operation not in _NOT_A_MODEL and not telemetry.llm.measures(_model(attributes)[0])


def _llm_call(telemetry: Recorders, seconds: float, attributes: Values) -> None:
    if not _is_recorded(telemetry, attributes):
        return
    telemetry.llm.call_ended(*_model(attributes), seconds)
    if attributes.get("error.type"):
        class_name = str(attributes["error.type"]).rpartition(".")[2]
        telemetry.errors.occurred(class_name, component="llm")


def _llm_first_token(telemetry: Recorders, seconds: float, attributes: Values) -> None:
    if _is_recorded(telemetry, attributes):
        telemetry.llm.first_token(*_model(attributes), seconds)


def _llm_tokens(telemetry: Recorders, count: float, attributes: Values) -> None:
    if not _is_recorded(telemetry, attributes):
        return
    provider, model = _model(attributes)
    # One call is one record of input and one of output; it is one call without a price, too.
    if _first(attributes, "gen_ai.token.type") == "input":
        telemetry.llm.tokens_billed(provider, model, TokenUsage(prompt=int(count)))
    else:
        telemetry.llm.tokens_billed(provider, model, TokenUsage(completion=int(count)), new_call=False)


_HTTP = (http.REQUESTS, http.DURATION)
_LLM_TOKENS = (llm.TOKENS, llm.COST, llm.UNPRICED)

RULES: Mapping[str, Rule] = {
    "http.server.request.duration": Rule("http", _http_request, _HTTP),
    "http.server.duration": Rule("http", _old_http_request, _HTTP, unless="http.server.request.duration"),
    "http.server.request.body.size": Rule("http", _request_size, (http.REQUEST_SIZE,)),
    "http.server.request.size": Rule(
        "http", _request_size, (http.REQUEST_SIZE,), unless="http.server.request.body.size"
    ),
    "http.server.response.body.size": Rule("http", _response_size, (http.RESPONSE_SIZE,)),
    "http.server.response.size": Rule(
        "http", _response_size, (http.RESPONSE_SIZE,), unless="http.server.response.body.size"
    ),
    "http.server.active_requests": Rule("http", reason="it never carries the route"),
    "db.client.operation.duration": Rule("database", _query, (database.QUERY_DURATION,)),
    "db.client.connections.usage": Rule("database", reason="it drifts; pools are read at collection"),
    "gen_ai.client.operation.duration": Rule("llm", _llm_call, (llm.REQUESTS, llm.DURATION)),
    "gen_ai.client.token.usage": Rule("llm", _llm_tokens, _LLM_TOKENS),
    "gen_ai.client.operation.time_to_first_chunk": Rule("llm", _llm_first_token, (llm.FIRST_TOKEN,)),
    "gen_ai.client.operation.time_per_output_chunk": Rule("llm", reason="a record for every chunk"),
    "flower.task.runtime.seconds": Rule("celery", reason="it knows no outcome and no queue"),
}


class Bridge:
    """Puts translating instruments in the place of those that instrumentors create.

    Args:
        telemetry: Whose recorders get the measurements.
    """

    def __init__(self, telemetry: Recorders) -> None:
        self._telemetry = telemetry
        self._created: dict[Scope, set[str]] = {}

    def substitute(self, instrument: Instrument, make: Callable[[], api.Instrument]) -> api.Instrument | None:
        """What takes the place of a new instrument; ``None`` for one that counts as it is.

        The table translates by name, whoever measures. What instrumentors measure beyond it goes nowhere, and what is
        translated does not count under its own name, unless ``TELEMETRY_PASS_UNCATALOGUED`` is set.

        Args:
            instrument: The new one.
            make: Makes it as it is.
        """
        rule, passes = RULES.get(instrument.name), self._telemetry.settings.pass_uncatalogued
        if rule is not None and instrument.kind == "Histogram":
            created = self._created.setdefault(instrument.scope, set())
            created.add(instrument.name)
            translated = _TranslatedHistogram(instrument.name, self._telemetry, rule, created)
            return _RecordedTwice(translated, make()) if passes else translated
        is_foreign = rule is not None or instrument.scope.name.startswith(_INSTRUMENTORS)
        return silent(instrument.kind, instrument.name) if is_foreign and not passes else None


class _TranslatedHistogram(api.Histogram):
    """A foreign histogram: each measurement becomes a domain verb."""

    def __init__(self, name: str, telemetry: Recorders, rule: Rule, created: set[str]) -> None:
        self.name = name
        self._telemetry = telemetry
        self._rule = rule
        self._created = created

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Translate one measurement; never raises."""
        record = self._rule.record
        if record is None or self._rule.domain in self._telemetry.own_sources:
            return
        if self._rule.unless in self._created:
            return
        with guard.guarded("translating a foreign measurement"):
            record(self._telemetry, amount, attributes or {})


class _RecordedTwice(api.Histogram):
    """A foreign histogram whose measurements are translated and count under its own name, too."""

    def __init__(self, translated: _TranslatedHistogram, as_it_is: api.Instrument) -> None:
        self.name = translated.name
        self._translated = translated
        self._as_it_is = cast("api.Histogram", as_it_is)

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Record one measurement twice; never raises."""
        self._translated.record(amount, attributes, context)
        self._as_it_is.record(amount, attributes, context)
