"""The dashboard "Application Performance & Business Metrics": HTTP, database, errors, users, LLM, money."""

from __future__ import annotations

from app.catalogue import business, storage
from grafana.boards import promql
from grafana.boards.panels import ORANGE, RED, Board, Panel, Row, bars, choice, line, number
from grafana.boards.promql import fact, increase, level, or_zero, quantile, rate, ratio
from grafana.rules import slo
from telemetry.catalogue import database, errors, http, llm

_ENDPOINT = ('endpoint=~"$endpoint"',)
_MODEL = ('model=~"$model"',)
_USERS = f"sum {promql.by()} ({fact(business.USERS_ACTIVE, 'plan')})"


def _class(status: str, *labels: str) -> str:
    """Answers with a status of a class, and 0 where there was none among answers."""
    counted = rate(http.REQUESTS, *labels, where=(*_ENDPOINT, f'status_code=~"{status}"'))
    return or_zero(counted, rate(http.REQUESTS, *labels, where=_ENDPOINT))


def _http_now() -> tuple[Panel, ...]:
    return (
        number(
            "Requests",
            "reqps",
            "Requests answered a second.",
            {"{{environment}}": rate(http.REQUESTS, where=_ENDPOINT)},
        ),
        number(
            "Server errors",
            "percentunit",
            "Share of answers with a 5xx status. Above 5 %: see the runbook; the row Errors names the culprit.",
            {"{{environment}}": ratio(f"({_class('5..')})", rate(http.REQUESTS, where=_ENDPOINT))},
            alerts=("HighErrorRate",),
            steps=((0.01, ORANGE), (0.05, RED)),
        ),
        number(
            "Response time, P95",
            "s",
            "95 % of requests are faster, streamed replies not counted. Above 2 s: find the endpoint below.",
            {
                "{{environment}}": quantile(0.95, http.DURATION, where=(*_ENDPOINT, promql.LONG_RUNNING))
                + " or "
                + quantile(0.95, http.DURATION, where=_ENDPOINT)
            },
            alerts=("HighResponseTime",),
            steps=((1, ORANGE), (2, RED)),
        ),
        number(
            "In progress",
            "none",
            "Requests being processed now, on all replicas. Rising with steady traffic: handlers hang.",
            {
                "{{environment}}": or_zero(
                    level(http.IN_PROGRESS, where=_ENDPOINT), rate(http.REQUESTS, where=_ENDPOINT)
                )
            },
        ),
    )


def _objectives() -> tuple[Panel, ...]:
    wanted, failed = (slo.NO_PROBES,), (slo.NO_PROBES, 'status_code=~"5.."')
    errors_share = ratio(
        f"({or_zero(increase(http.REQUESTS, where=failed), increase(http.REQUESTS, where=wanted))})",
        increase(http.REQUESTS, where=wanted),
    )
    quick = ratio(
        promql.within(http.DURATION, slo.FAST_ENOUGH, where=(slo.PLAIN,)),
        promql.observed(http.DURATION, where=(slo.PLAIN,)),
    )
    burn = "In the time range, without probes{}. At 1 the objective is just kept; above, hold back risky changes."
    return (
        number(
            "Allowance for errors, times used",
            "none",
            burn.format(""),
            {"{{environment}}": f"{errors_share} / {1 - slo.HTTP_AVAILABILITY.good_share:.4g}"},
            alerts=("HttpAvailabilityBurnsFast", "HttpAvailabilityBurnsSlowly"),
            steps=((1, ORANGE), (6, RED)),
            width=12,
        ),
        number(
            "Allowance for slow answers, times used",
            "none",
            burn.format(" and streams"),
            {"{{environment}}": f"(1 - {quick}) / {1 - slo.HTTP_LATENCY.good_share:.4g}"},
            alerts=("HttpLatencyBurnsFast", "HttpLatencyBurnsSlowly"),
            steps=((1, ORANGE), (6, RED)),
            width=12,
        ),
    )


def _http() -> tuple[Panel, ...]:
    return (
        line(
            "Request rate by endpoint",
            "reqps",
            "Where the traffic goes. `unmatched` are paths the application does not have.",
            {"{{method}} {{endpoint}} · {{environment}}": rate(http.REQUESTS, "method", "endpoint", where=_ENDPOINT)},
        ),
        line(
            "Response time percentiles",
            "s",
            "To the last byte. All rising together: a shared dependency, first the database, then the vendor.",
            {
                f"P{share * 100:g} · {{{{environment}}}}": quantile(share, http.DURATION, where=_ENDPOINT)
                for share in (0.5, 0.95, 0.99)
            },
            alerts=("HighResponseTime",),
            steps=((2, RED),),
        ),
        line(
            "Response time by endpoint, P95",
            "s",
            "Which endpoint is slow. Streamed replies take as long as the vendor writes.",
            {
                "{{method}} {{endpoint}} · {{environment}}": quantile(
                    0.95, http.DURATION, "method", "endpoint", where=_ENDPOINT
                )
            },
            alerts=("HighResponseTime",),
            steps=((2, RED),),
        ),
        line(
            "Error rate, 4xx and 5xx",
            "percentunit",
            "Share of answers. 4xx rising: a client or an attacker; 5xx rising: us.",
            {
                f"{status[0]}xx · {{{{environment}}}}": ratio(
                    f"({_class(status)})", rate(http.REQUESTS, where=_ENDPOINT)
                )
                for status in ("4..", "5..")
            },
            alerts=("HighErrorRate",),
            steps=((0.05, RED),),
        ),
        line(
            "Answers by status",
            "reqps",
            "499: the client left first; 429: a rate limit; 502 and 504: the vendor; 503: database, Redis or broker.",
            {"{{status_code}} · {{environment}}": rate(http.REQUESTS, "status_code", where=_ENDPOINT)},
            stacked=True,
        ),
        line(
            "In progress by endpoint",
            "none",
            "Requests being processed. One endpoint standing out is where workers of the server hang.",
            {
                "{{endpoint}} · {{environment}}": or_zero(
                    level(http.IN_PROGRESS, "endpoint", where=_ENDPOINT),
                    rate(http.REQUESTS, "endpoint", where=_ENDPOINT),
                )
            },
        ),
    )


def _database() -> tuple[Panel, ...]:
    return (
        line(
            "Connections of the pools",
            "none",
            "In use and idle, all processes together. All in use: requests wait; find slow queries or enlarge it.",
            {
                "active {{pool}} · {{environment}}": level(database.CONNECTIONS_ACTIVE, "pool"),
                "idle {{pool}} · {{environment}}": level(database.CONNECTIONS_IDLE, "pool"),
            },
            stacked=True,
        ),
        line(
            "Query time, P95",
            "s",
            "By operation and table. One table slow: an index is missing or a lock is held.",
            {
                "{{operation}} {{table}} · {{environment}}": quantile(
                    0.95, database.QUERY_DURATION, "operation", "table"
                )
            },
        ),
        line(
            "Queries",
            "ops",
            "Statements a second by table. Growing faster than requests: a loop asks row by row.",
            {"{{operation}} {{table}} · {{environment}}": promql.count(database.QUERY_DURATION, "operation", "table")},
        ),
    )


def _errors() -> tuple[Panel, ...]:
    return (
        bars(
            "Top errors",
            "none",
            "The ten most frequent errors of the time range. Component says whose they are.",
            {
                "{{component}}: {{error_type}} · {{environment}}": f"topk {promql.by()} (10, "
                + increase(errors.ERRORS, "component", "error_type")
                + ")"
            },
            alerts=("HighErrorRate",),
        ),
        line(
            "Errors by component",
            "ops",
            "llm: the vendor; database, redis, storage: what we run; http: our own code or bad input.",
            {"{{component}} · {{environment}}": rate(errors.ERRORS, "component")},
        ),
        line(
            "Rate limiting events",
            "ops",
            "Requests refused by plan and endpoint. A paying plan refused often: raise its limit.",
            {"{{plan}} {{endpoint}} · {{environment}}": rate(errors.RATE_LIMIT_EXCEEDED, "plan", "endpoint")},
        ),
    )


def _users() -> tuple[Panel, ...]:
    return (
        line(
            "Active users by plan",
            "none",
            "Users who did something within the activity window.",
            {"{{plan}} · {{environment}}": fact(business.USERS_ACTIVE, "plan")},
            stacked=True,
        ),
        line(
            "Active conversations",
            "none",
            "Conversations with a message within the activity window.",
            {"{{environment}}": fact(business.CONVERSATIONS_ACTIVE)},
        ),
        line(
            "Messages by plan",
            "ops",
            "Messages users sent a second. A fall while requests go on: sending fails; look at the errors.",
            {"{{user_plan}} · {{environment}}": rate(business.MESSAGES_SENT, "user_plan")},
        ),
        bars(
            "Images generated",
            "none",
            "In the time range, by model.",
            {"{{model}} · {{environment}}": increase(business.IMAGES_GENERATED, "model")},
        ),
        bars(
            "Audio transcribed",
            "m",
            "Minutes in the time range, by vendor and language.",
            {
                "{{provider}} {{language}} · {{environment}}": increase(
                    business.AUDIO_TRANSCRIBED, "provider", "language"
                )
            },
        ),
        number(
            "Messages in the time range",
            "none",
            "Exact: forks, restarts and replicas do not count twice.",
            {"{{user_plan}} · {{environment}}": increase(business.MESSAGES_SENT, "user_plan")},
            width=8,
        ),
    )


def _storage() -> tuple[Panel, ...]:
    return (
        line(
            "Storage used by plan",
            "bytes",
            "Bytes users keep. Grows only: agree on a retention before it costs.",
            {"{{plan}} · {{environment}}": fact(storage.QUOTA_USED, "plan")},
            stacked=True,
        ),
        bars(
            "Largest users of storage",
            "bytes",
            "The ten largest; `other` is everybody outside the top 20 of a plan.",
            {
                "{{plan}} {{user_id}} · {{environment}}": f"topk {promql.by()} (10, "
                + fact(storage.QUOTA_USED, "user_id", "plan")
                + ")"
            },
        ),
        line(
            "Bytes moved",
            "Bps",
            "To and from the object store, by operation and bucket.",
            {"{{operation}} {{bucket}} · {{environment}}": rate(storage.BYTES_TRANSFERRED, "operation", "bucket")},
        ),
        line(
            "Storage operations",
            "ops",
            "Successful operations by kind and bucket; failures are among the errors of component `storage`.",
            {"{{operation}} {{bucket}} · {{environment}}": rate(storage.OPERATIONS, "operation", "bucket")},
            width=24,
        ),
    )


def _llm() -> tuple[Panel, ...]:
    return (
        line(
            "LLM requests by model",
            "reqps",
            "Requests a second, those answered from the response cache included.",
            {"{{provider}} {{model}} · {{environment}}": rate(llm.REQUESTS, "provider", "model", where=_MODEL)},
        ),
        line(
            "LLM response time by model",
            "s",
            "P50 and P95 of calls to the vendor, to the last byte. Slow: see its status page, then another model.",
            {
                f"P{share * 100:g} {{{{model}}}} · {{{{environment}}}}": quantile(
                    share, llm.DURATION, "model", where=_MODEL
                )
                for share in (0.5, 0.95)
            },
        ),
        line(
            "LLM cache hit rate",
            "percentunit",
            "Share of requests answered from our own cache. Below 30 % for 2 hours: see the runbook.",
            {
                "{{model}} · {{environment}}": ratio(
                    "("
                    + or_zero(
                        rate(llm.CACHE_HITS, "model", where=_MODEL),
                        rate(llm.REQUESTS, "model", where=_MODEL),
                    )
                    + ")",
                    rate(llm.REQUESTS, "model", where=_MODEL),
                )
            },
            alerts=("LowCacheHitRate",),
        ),
    )


def _cost() -> tuple[Panel, ...]:
    requests, unpriced = (increase(metric, "model", where=_MODEL) for metric in (llm.REQUESTS, llm.UNPRICED))
    return (
        number(
            "LLM cost in the time range",
            "currencyUSD",
            "What the vendor bills, for models with a known price.",
            {"{{environment}}": increase(llm.COST)},
            alerts=("HighLLMCost",),
        ),
        number(
            "LLM cost within an hour",
            "currencyUSD",
            "The last hour. Above 50 USD in prod: find the model and the plan that spend it.",
            {"{{environment}}": increase(llm.COST, over="1h")},
            alerts=("HighLLMCost",),
            steps=((25, ORANGE), (50, RED)),
        ),
        number(
            "LLM cost per active user",
            "currencyUSD",
            "Cost of the last 24 hours divided by users active now.",
            {"{{environment}}": ratio(increase(llm.COST, over="24h"), _USERS)},
        ),
        number(
            "Calls of unknown cost",
            "none",
            "Calls in the time range that no price was known for: the cost beside is too low by these.",
            {"{{environment}}": or_zero(increase(llm.UNPRICED), increase(llm.REQUESTS))},
            alerts=("UnpricedModel",),
            steps=((1, ORANGE),),
        ),
        bars(
            "LLM cost by model",
            "currencyUSD",
            "In the time range. A model without a price has no cost here but calls of unknown cost.",
            {
                "{{model}} · {{environment}}": increase(llm.COST, "model", where=_MODEL),
                "{{model}}: calls of unknown cost · {{environment}}": f"{unpriced} > 0",
            },
            alerts=("HighLLMCost", "UnpricedModel"),
        ),
        line(
            "LLM tokens by type",
            "none",
            "Tokens a second: prompt is uncached input, cached is cheaper input, completion is output.",
            {
                "{{type}} · {{environment}}": or_zero(
                    rate(llm.TOKENS, "type", where=_MODEL), rate(llm.REQUESTS, where=_MODEL)
                )
            },
            stacked=True,
        ),
        bars(
            "LLM tokens by model",
            "none",
            "In the time range. Models that bill by image or by minute have none.",
            {"{{model}} · {{environment}}": or_zero(increase(llm.TOKENS, "model", where=_MODEL), requests)},
        ),
        line(
            "LLM cost per hour at this rate",
            "currencyUSD",
            "What an hour costs if it goes on like this.",
            {"{{environment}}": f"{rate(llm.COST)} * 3600"},
            alerts=("HighLLMCost",),
            steps=((50, RED),),
            width=12,
        ),
        number(
            "Saved by the cache",
            "currencyUSD",
            "Cache hits of the time range times the average cost of a call to the vendor.",
            {
                "{{environment}}": f"({or_zero(increase(llm.CACHE_HITS), increase(llm.REQUESTS))})"
                f" * ({ratio(increase(llm.COST), promql.observed(llm.DURATION))})"
            },
            alerts=("LowCacheHitRate",),
            width=12,
        ),
    )


BOARD = Board(
    uid="application-performance",
    title="Application Performance & Business Metrics",
    description="Are users served well, what do they do, and what does it cost.",
    variables=(choice("endpoint", http.REQUESTS.name), choice("model", llm.REQUESTS.name)),
    rows=(
        Row("DevOps: HTTP now", _http_now()),
        Row("DevOps: objectives", _objectives()),
        Row("DevOps: HTTP", _http()),
        Row("DevOps: database", _database()),
        Row("DevOps: errors", _errors()),
        Row("Product: users", _users()),
        Row("Product: LLM", _llm()),
        Row("Finance: LLM cost", _cost()),
        Row("Finance: storage", _storage()),
    ),
)
