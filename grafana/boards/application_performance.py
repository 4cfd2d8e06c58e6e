"""The dashboard "Application Performance & Business Metrics": HTTP, database, errors, users, LLM, money."""

from __future__ import annotations

from app.catalogue import business, storage
from grafana.boards import promql
from grafana.boards.board import Board, Row
from grafana.boards.firing import firing
from grafana.boards.panels import PER_SECOND, Panel, bars, line, number
from grafana.boards.promql import RATE, fact, happened, increase, level, or_none, or_zero, quantile, rate, ratio, share
from grafana.boards.variables import choice
from grafana.rules import slo
from telemetry.catalogue import database, errors, http, llm
from telemetry.looks import COUNT, GREY, ORANGE, RED

_ENDPOINT = ('endpoint=~"$endpoint"',)
_MODEL = ('model=~"$model"',)
_USERS = f"sum {promql.by()} ({fact(business.USERS_ACTIVE, 'plan')})"
_FEW = "Nothing where fewer than 25 were answered within five minutes or the step."
_LEAST_ANSWERS = 25  # of which one is 4 %, below the red of 5 %
_LEAST_JUDGED = 40  # of which one error is five times the allowance, below the red of six
_STEP = "75s"  # four of them are the window: five minutes, as the alert has


def _class(status: str) -> str:
    """Share of answers with a status of a class, where enough were given to say one."""
    every = increase(http.REQUESTS, where=_ENDPOINT, over=RATE)
    counted = increase(http.REQUESTS, where=(*_ENDPOINT, f'status_code=~"{status}"'), over=RATE)
    return share(f"({or_zero(counted, every)})", every, _LEAST_ANSWERS)


def _response_time(percentile: float) -> str:
    """Without streamed replies, which take as long as the vendor writes, unless nothing else is chosen."""
    plain = quantile(percentile, http.DURATION, where=(*_ENDPOINT, promql.LONG_RUNNING))
    return f"{plain} or {quantile(percentile, http.DURATION, where=_ENDPOINT)}"


def _http_now() -> tuple[Panel, ...]:
    return (
        number(
            "Requests",
            "reqps",
            "Requests answered a second.",
            {"{{environment}}": rate(http.REQUESTS, where=_ENDPOINT)},
            width=4,
        ),
        number(
            "Server errors",
            "percentunit",
            f"Share of answers with a 5xx status. Above 5 %: see the runbook; the row Errors names the culprit. {_FEW}",
            {"{{environment}}": _class("5..")},
            alerts=("HighErrorRate",),
            steps=((0.01, ORANGE), (0.05, RED)),
            step=_STEP,
            width=4,
        ),
        number(
            "Response time, P95",
            "s",
            "95 % of requests are faster, streamed replies not counted. Above 2 s: find the endpoint below.",
            {"{{environment}}": _response_time(0.95)},
            alerts=("HighResponseTime",),
            steps=((1, ORANGE), (2, RED)),
            width=4,
        ),
        number(
            "In progress",
            COUNT,
            "Requests being processed now, on all replicas. Rising with steady traffic: handlers hang.",
            {
                "{{environment}}": or_zero(
                    level(http.IN_PROGRESS, where=_ENDPOINT), rate(http.REQUESTS, where=_ENDPOINT)
                )
            },
            width=4,
        ),
        firing(),
    )


def _objectives() -> tuple[Panel, ...]:
    wanted, failed = (slo.NO_PROBES,), (slo.NO_PROBES, 'status_code=~"5.."')
    errors_share = share(
        f"({or_zero(increase(http.REQUESTS, where=failed), increase(http.REQUESTS, where=wanted))})",
        increase(http.REQUESTS, where=wanted),
        _LEAST_JUDGED,
    )
    quick = share(
        promql.within(http.DURATION, slo.FAST_ENOUGH, where=(slo.PLAIN,)),
        promql.observed(http.DURATION, where=(slo.PLAIN,)),
        _LEAST_JUDGED,
    )
    burn = (
        "In the time range, without probes{}. At 1 the objective is just kept; above, hold back risky changes. Nothing"
        f" where fewer than {_LEAST_JUDGED} were answered."
    )
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
            "Response time percentiles",
            "s",
            "To the last byte, streamed replies not counted. All rising together: a shared dependency, first the"
            " database, then the vendor.",
            {
                f"P{percentile * 100:g} · {{{{environment}}}}": _response_time(percentile)
                for percentile in (0.5, 0.95, 0.99)
            },
            alerts=("HighResponseTime",),
            steps=((2, RED),),
        ),
        line(
            "Server errors, 5xx",
            "percentunit",
            f"Share of answers. Rising: us; the row Errors names the culprit. {_FEW}",
            {"{{environment}}": _class("5..")},
            alerts=("HighErrorRate",),
            steps=((0.05, RED),),
            step=_STEP,
        ),
        line(
            "Client errors, 4xx",
            "percentunit",
            f"Share of answers. Rising: a client or an attacker; which status says the panel below. {_FEW}",
            {"{{environment}}": _class("4..")},
            step=_STEP,
        ),
        line(
            "Request rate by endpoint",
            "reqps",
            "Where the traffic goes. `unmatched` are paths the application does not have.",
            {"{{method}} {{endpoint}} · {{environment}}": rate(http.REQUESTS, "method", "endpoint", where=_ENDPOINT)},
            width=24,  # names are long
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
            width=24,
        ),
        line(
            "In progress by endpoint",
            COUNT,
            "Requests being processed. One endpoint standing out is where workers of the server hang.",
            {
                "{{endpoint}} · {{environment}}": or_zero(
                    level(http.IN_PROGRESS, "endpoint", where=_ENDPOINT),
                    rate(http.REQUESTS, "endpoint", where=_ENDPOINT),
                )
            },
            width=12,
        ),
        line(
            "Answers by status",
            "reqps",
            "499: the client left first; 429: a rate limit; 502 and 504: the vendor; 503: database, Redis or broker.",
            {"{{status_code}} · {{environment}}": rate(http.REQUESTS, "status_code", where=_ENDPOINT)},
            stacked=True,
            width=12,
        ),
    )


def _database() -> tuple[Panel, ...]:
    return (
        line(
            "Connections of the pools",
            COUNT,
            "In use and idle, all processes together. All in use: requests wait; find slow queries or enlarge it.",
            {
                "active {{pool}} · {{environment}}": level(database.CONNECTIONS_ACTIVE, "pool"),
                "idle {{pool}} · {{environment}}": level(database.CONNECTIONS_IDLE, "pool"),
            },
            stacked=True,
            colours={"B": GREY},
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
            PER_SECOND,
            "Statements a second by table. Growing faster than requests: a loop asks row by row.",
            {"{{operation}} {{table}} · {{environment}}": promql.count(database.QUERY_DURATION, "operation", "table")},
        ),
    )


def _errors() -> tuple[Panel, ...]:
    return (
        bars(
            "Top errors",
            COUNT,
            "The ten most frequent errors of the time range. Component says whose they are.",
            {
                "{{component}}: {{error_type}} · {{environment}}": happened(
                    f"topk {promql.by()} (10, {increase(errors.ERRORS, 'component', 'error_type')})"
                )
            },
            alerts=("HighErrorRate",),
            base=ORANGE,
            steps=((100, RED),),
        ),
        line(
            "Errors by component",
            PER_SECOND,
            "llm: the vendor; database, redis, storage: what we run; http: our own code or bad input.",
            {"{{component}} · {{environment}}": rate(errors.ERRORS, "component")},
        ),
        line(
            "Rate limiting events",
            "reqps",
            "Requests refused by plan and endpoint. A paying plan refused often: raise its limit.",
            {"{{plan}} {{endpoint}} · {{environment}}": rate(errors.RATE_LIMIT_EXCEEDED, "plan", "endpoint")},
        ),
    )


def _users() -> tuple[Panel, ...]:
    return (
        line(
            "Active users by plan",
            COUNT,
            "Users who did something within the activity window.",
            {"{{plan}} · {{environment}}": fact(business.USERS_ACTIVE, "plan")},
            stacked=True,
        ),
        line(
            "Active conversations",
            COUNT,
            "Conversations with a message within the activity window.",
            {"{{environment}}": fact(business.CONVERSATIONS_ACTIVE)},
        ),
        line(
            "Messages by plan",
            "mps",
            "Messages users sent a second. A fall while requests go on: sending fails; look at the errors.",
            {"{{user_plan}} · {{environment}}": rate(business.MESSAGES_SENT, "user_plan")},
        ),
        bars(
            "Messages in the time range",
            COUNT,
            "Exact: forks, restarts and replicas do not count twice.",
            {"{{user_plan}} · {{environment}}": happened(increase(business.MESSAGES_SENT, "user_plan"))},
        ),
        bars(
            "Images generated",
            COUNT,
            "In the time range, by model.",
            {"{{model}} · {{environment}}": happened(increase(business.IMAGES_GENERATED, "model"))},
        ),
        bars(
            "Audio transcribed",
            "m",
            "Minutes in the time range, by vendor and language.",
            {
                "{{provider}} {{language}} · {{environment}}": happened(
                    increase(business.AUDIO_TRANSCRIBED, "provider", "language")
                )
            },
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
            width=12,
        ),
        bars(
            "Largest users of storage",
            "bytes",
            "The ten largest; `other` is everybody outside the top 20 of a plan.",
            {
                "{{plan}} {{user_id}} · {{environment}}": happened(
                    f"topk {promql.by()} (10, {fact(storage.QUOTA_USED, 'user_id', 'plan')})"
                )
            },
            width=12,  # ids are long
        ),
        line(
            "Bytes moved",
            "binBps",
            "To and from the object store, by operation and bucket.",
            {"{{operation}} {{bucket}} · {{environment}}": rate(storage.BYTES_TRANSFERRED, "operation", "bucket")},
            width=12,
        ),
        line(
            "Storage operations",
            PER_SECOND,
            "Successful operations by kind and bucket; failures are among the errors of component `storage`.",
            {"{{operation}} {{bucket}} · {{environment}}": rate(storage.OPERATIONS, "operation", "bucket")},
            width=12,
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
                f"P{percentile * 100:g} {{{{model}}}} · {{{{environment}}}}": quantile(
                    percentile, llm.DURATION, "model", where=_MODEL
                )
                for percentile in (0.5, 0.95)
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
            up_to=1,
        ),
    )


_ASKED = increase(llm.REQUESTS, where=_MODEL)


def _cost() -> tuple[Panel, ...]:
    return (
        number(
            "LLM cost in the time range",
            "currencyUSD",
            "What the vendor bills, for models with a known price.",
            {"{{environment}}": increase(llm.COST)},
            alerts=("HighLLMCost",),
            width=5,
        ),
        number(
            "LLM cost within an hour",
            "currencyUSD",
            "The last hour. Above 50 USD in prod: find the model and the plan that spend it.",
            {"{{environment}}": increase(llm.COST, over="1h")},
            alerts=("HighLLMCost",),
            steps=((25, ORANGE), (50, RED)),
            width=5,
        ),
        number(
            "LLM cost per active user",
            "currencyUSD",
            "Cost of the last 24 hours divided by users active now.",
            {"{{environment}}": ratio(increase(llm.COST, over="24h"), _USERS)},
            width=5,
        ),
        number(
            "Calls of unknown cost",
            COUNT,
            "Calls in the time range that no price was known for: the cost beside is too low by these.",
            {"{{environment}}": or_zero(increase(llm.UNPRICED), increase(llm.REQUESTS))},
            alerts=("UnpricedModel",),
            steps=((1, ORANGE),),
            width=5,
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
            width=4,
        ),
        bars(
            "LLM cost by model",
            "currencyUSD",
            "In the time range. What calls of unknown cost would add is not in it.",
            {"{{model}} · {{environment}}": or_none(increase(llm.COST, "model", where=_MODEL), "model", _ASKED)},
            alerts=("HighLLMCost", "UnpricedModel"),
        ),
        line(
            "LLM tokens by type",
            PER_SECOND,
            "prompt is uncached input, cached is cheaper input, completion is output; none: what is billed otherwise.",
            {"{{type}} · {{environment}}": or_none(rate(llm.TOKENS, "type", where=_MODEL), "type", _ASKED)},
            stacked=True,
        ),
        bars(
            "LLM tokens by model",
            COUNT,
            "In the time range. Models that bill by image or by minute have none.",
            {"{{model}} · {{environment}}": or_none(increase(llm.TOKENS, "model", where=_MODEL), "model", _ASKED)},
        ),
        line(
            "LLM cost per hour at this rate",
            "currencyUSD",
            "What an hour costs if it goes on like this.",
            {"{{environment}}": f"{rate(llm.COST)} * 3600"},
            alerts=("HighLLMCost",),
            steps=((50, RED),),
            width=24,
        ),
    )


BOARD = Board(
    uid="application-performance",
    title="Application Performance & Business Metrics",
    description="Are users served well, what do they do, and what does it cost.",
    variables=(choice("endpoint", "Endpoint", http.REQUESTS.name), choice("model", "Model", llm.REQUESTS.name)),
    rows=(
        Row("DevOps: HTTP now", _http_now()),
        Row("DevOps: objectives", _objectives()),
        Row("DevOps: HTTP", _http()),
        Row("DevOps: database", _database()),
        Row("DevOps: errors", _errors()),
        Row("Product: users", _users(), closed=True),
        Row("Product: LLM", _llm(), closed=True),
        Row("Finance: LLM cost", _cost(), closed=True),
        Row("Finance: storage", _storage(), closed=True),
    ),
)
