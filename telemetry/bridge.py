"""The one table from foreign instruments to documented metrics: a MeterProvider to hand to any auto-instrumentor.

Instrumentors record by the semantic conventions; Views could rename their metrics but not their label keys, so each
measurement is translated into a domain verb. An instrument outside the table is dropped unless
``TELEMETRY_PASS_UNCATALOGUED`` is set. Where a hook of ours measures the same domain, the instrumentor's version is
dropped, so two sources at once never count twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry import metrics as api
from opentelemetry.context import Context
from opentelemetry.util.types import Attributes

from telemetry import guard
from telemetry.catalogue import Spec, database, http, llm
from telemetry.domains._llm_usage import TokenUsage
from telemetry.domains.http import CLIENT_CLOSED_REQUEST, UNMATCHED
from telemetry.setup import Telemetry

Values = Mapping[str, Any]
Record = Callable[[Telemetry, float, Values], None]

_NOT_A_MODEL = frozenset({"create_agent", "execute_tool", "invoke_agent", "invoke_workflow", "retrieval"})
_NO_METER = api.NoOpMeter("telemetry.bridge")


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


def _http_request(telemetry: Telemetry, seconds: float, attributes: Values) -> None:
    method = _first(attributes, "http.request.method", "http.method")
    endpoint = _first(attributes, "http.route", "http.target", default=UNMATCHED)
    status = _first(attributes, "http.response.status_code", "http.status_code", default=str(CLIENT_CLOSED_REQUEST))
    telemetry.http.answered(method, endpoint, int(status), seconds)


def _old_http_request(telemetry: Telemetry, milliseconds: float, attributes: Values) -> None:
    _http_request(telemetry, milliseconds / 1000, attributes)


def _query(telemetry: Telemetry, seconds: float, attributes: Values) -> None:
    operation = _first(attributes, "db.operation.name", "db.operation", default="other").upper()
    table = _first(attributes, "db.collection.name", "db.sql.table", default="other")
    telemetry.database.query_executed(operation if operation != "OTHER" else "other", table, seconds)


def _model(attributes: Values) -> tuple[str, str]:
    """Vendor and model as the application asked for it: an error has no other, and prices know it."""
    provider = _first(attributes, "gen_ai.provider.name", "gen_ai.system")
    return provider, _first(attributes, "gen_ai.request.model", "gen_ai.response.model")


def _is_recorded(telemetry: Telemetry, attributes: Values) -> bool:
    """Whether a record is of a call to a model, and of one that the application does not record itself."""
    operation = _first(attributes, "gen_ai.operation.name", default="chat")
    return operation not in _NOT_A_MODEL and not telemetry.llm.measures(_model(attributes)[0])


def _llm_call(telemetry: Telemetry, seconds: float, attributes: Values) -> None:
    if not _is_recorded(telemetry, attributes):
        return
    telemetry.llm.call_ended(*_model(attributes), seconds)
    if attributes.get("error.type"):
        class_name = str(attributes["error.type"]).rpartition(".")[2]
        telemetry.errors.occurred(class_name, component="llm")


def _llm_first_token(telemetry: Telemetry, seconds: float, attributes: Values) -> None:
    if _is_recorded(telemetry, attributes):
        telemetry.llm.first_token(*_model(attributes), seconds)


def _llm_tokens(telemetry: Telemetry, count: float, attributes: Values) -> None:
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
    "http.server.active_requests": Rule("http", reason="it never carries the route"),
    "db.client.operation.duration": Rule("database", _query, (database.QUERY_DURATION,)),
    "db.client.connections.usage": Rule("database", reason="it drifts; pools are read at collection"),
    "gen_ai.client.operation.duration": Rule("llm", _llm_call, (llm.REQUESTS, llm.DURATION)),
    "gen_ai.client.token.usage": Rule("llm", _llm_tokens, _LLM_TOKENS),
    "gen_ai.client.operation.time_to_first_chunk": Rule("llm", _llm_first_token, (llm.FIRST_TOKEN,)),
    "gen_ai.client.operation.time_per_output_chunk": Rule("llm", reason="a record for every chunk"),
    "flower.task.runtime.seconds": Rule("celery", reason="it knows no outcome and no queue"),
}


class BridgeMeterProvider(api.MeterProvider):
    """Hand this to an auto-instrumentor as ``meter_provider``.

    Args:
        telemetry: Whose recorders get the measurements.
        passed: Provider for instruments outside the table; ``None`` drops them.
    """

    def __init__(self, telemetry: Telemetry, passed: api.MeterProvider | None = None) -> None:
        self._telemetry = telemetry
        self._passed = passed

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        """A meter whose instruments translate."""
        passed = self._passed.get_meter(name, version, schema_url, attributes) if self._passed else _NO_METER
        return _BridgeMeter(name, self._telemetry, passed)


class _Translated:
    """One foreign instrument: each measurement becomes a domain verb."""

    def __init__(self, telemetry: Telemetry, rule: Rule, known_to_meter: set[str]) -> None:
        self._telemetry = telemetry
        self._rule = rule
        self._known_to_meter = known_to_meter

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Translate one measurement; never raises."""
        record = self._rule.record
        if record is None or self._rule.domain in self._telemetry.own_sources:
            return
        if self._rule.unless in self._known_to_meter:
            return
        with guard.guarded("translating a foreign measurement"):
            record(self._telemetry, amount, attributes or {})


class _TranslatedHistogram(_Translated, api.Histogram):
    """A foreign histogram."""


class _BridgeMeter(api.Meter):
    """Creates translating instruments for the table's names; the rest goes to ``passed``."""

    def __init__(self, name: str, telemetry: Telemetry, passed: api.Meter) -> None:
        super().__init__(name)
        self._telemetry = telemetry
        self._passed = passed
        self._created: set[str] = set()

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> api.Histogram:
        rule = RULES.get(name)
        if rule is not None:
            self._created.add(name)
            return _TranslatedHistogram(self._telemetry, rule, self._created)
        return self._passed.create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=explicit_bucket_boundaries_advisory
        )

    def _meter(self, name: str) -> api.Meter:
        return _NO_METER if name in RULES else self._passed

    def create_counter(self, name: str, unit: str = "", description: str = "") -> api.Counter:
        return self._meter(name).create_counter(name, unit, description)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> api.UpDownCounter:
        return self._meter(name).create_up_down_counter(name, unit, description)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        return self._meter(name).create_gauge(name, unit, description)

    def create_observable_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> api.ObservableCounter:
        return self._meter(name).create_observable_counter(name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> api.ObservableGauge:
        return self._meter(name).create_observable_gauge(name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> api.ObservableUpDownCounter:
        return self._meter(name).create_observable_up_down_counter(name, callbacks, unit, description)
