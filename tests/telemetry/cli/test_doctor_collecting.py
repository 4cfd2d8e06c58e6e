"""What is wrong in a collector or in what it shows: each case changes one thing on the pages of a healthy one."""

from __future__ import annotations

from contextlib import suppress

import pytest

from support.ports import free_port
from telemetry.catalogue import BUILT_IN
from telemetry.cli.doctor.canary import NAME
from tests.telemetry.cli.conftest import Doctor, Pages
from tests.telemetry.cli.peers import Peer

_MIB = 1 << 20


def test_pages_of_a_healthy_collector_are_silent(pages: Pages, doctor: Doctor) -> None:
    """What a real collector shows gives no finding, and nothing is sent where only its address is known."""
    assert doctor("--collector", "127.0.0.1").findings == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("fleet_totals_failed_commits_total 3", "collector-store"),
        ("fleet_totals_stores_set_aside 1", "collector-store"),
        ('fleet_totals_dropped_points_total{reason="kind"} 4', "collector-drops"),
        ('otelcol_deltatocumulative_datapoints_total{error="limit"} 4', "collector-drops"),
        ('fleet_prometheus_dropped_points_total{exporter="now",reason="names"} 4', "collector-drops"),
        ("fleet_totals_missing_exports_total 2", "collector-misses-exports"),
        ("fleet_totals_conflicts_total 2", "senders-share-a-name"),
        ('fleet_totals_folded_points_total{metric="http_requests_total"} 9', "collector-folds"),
        ('otelcol_receiver_refused_metric_points_total{receiver="otlp"} 9', "collector-refuses-points"),
        (f"otelcol_process_runtime_heap_alloc_bytes {400 * _MIB}", "collector-memory"),
        ('fleet_totals_series{metric="images_generated_total"} 9001', "collector-budget"),
        (
            "otelcol_deltatocumulative_streams_tracked 90\notelcol_deltatocumulative_streams_limit 100",
            "collector-budget",
        ),
    ],
)
def test_what_the_collector_says_of_itself_is_the_first_finding(
    pages: Pages, doctor: Doctor, line: str, code: str
) -> None:
    """One number of the collector's own metrics that is not as it should be is named first."""
    name = line.partition(" ")[0].partition("{")[0]
    healthy = pages.own.answers["/"][1]
    left = [each for each in healthy.splitlines() if "{" in line or not each.startswith(name)]
    pages.own.says("\n".join([*left, line, ""]))
    told = doctor("--collector", "127.0.0.1")
    assert told.first == code, told.findings


_REQUESTS = 'http_requests_total{method="GET",endpoint="/items/{item}",status_code="200",environment="dev"'
_BROKER = 'celery_broker_info{fingerprint="%s",environment="dev"} 1'


@pytest.mark.parametrize(
    ("page", "lines", "code"),
    [
        ("totals", [f'{_REQUESTS},instance="api-1"}} 7'], "totals-have-identity"),
        ("totals", ['http_requests_total{handler="/",method="GET",status="2xx"} 7'], "series-of-another-library"),
        ("totals", ['llm_cache_hits_total{environment="dev"} 7'], "labels-missing"),
        ("levels", [_BROKER % "a", _BROKER % "b"], "two-services-collide"),
        (
            "totals",
            ['telemetry_undelivered_total{metric="images_generated_total",environment="dev"} 7'],
            "counts-undelivered",
        ),
        (
            "totals",
            ['telemetry_rejected_values_total{metric="llm_cost_usd_total",environment="dev"} 7'],
            "values-rejected",
        ),
        (
            "totals",
            ['telemetry_label_overflows_total{metric="errors_total",environment="dev"} 7'],
            "label-budget-used-up",
        ),
    ],
)
def test_series_that_should_not_be_are_the_first_finding(
    pages: Pages, doctor: Doctor, page: str, lines: list[str], code: str
) -> None:
    """One series more than a healthy fleet has is named first."""
    peer = getattr(pages, page)
    peer.says("\n".join([peer.answers["/"][1], *lines, ""]))
    told = doctor("--collector", "127.0.0.1")
    assert told.first == code, told.findings


def test_budget_that_is_nearly_used_up_is_the_first_finding(pages: Pages, doctor: Doctor) -> None:
    """A label with more than four fifths of its values is named, before the next ones are counted as `other`."""
    labels = BUILT_IN.by_name["llm_cache_hits_total"].label_set()
    budget = next(label.budget for label in labels if label.name == "model")
    assert budget is not None
    lines = [
        f'llm_cache_hits_total{{provider="p",model="m{n}",environment="dev"}} 1' for n in range(budget.limit * 9 // 10)
    ]
    pages.totals.says("\n".join([pages.totals.answers["/"][1], *lines, ""]))
    assert doctor("--collector", "127.0.0.1").first == "label-budget-nearly"


def test_empty_pages_are_the_first_finding(pages: Pages, doctor: Doctor) -> None:
    """A collector to which no process of the fleet has reported is named, a doctor's canary aside."""
    pages.totals.says("")
    pages.levels.says(f'{NAME}{{probe="1",environment="dev"}} 1\n')
    assert doctor("--collector", "127.0.0.1").first == "fleet-absent"


def test_totals_alone_are_the_first_finding(pages: Pages, doctor: Doctor) -> None:
    """Totals of which no process reports any more are named."""
    pages.levels.says("")
    assert doctor("--collector", "127.0.0.1").first == "senders-silent"


def test_process_without_levels_is_no_finding(pages: Pages, doctor: Doctor) -> None:
    """Who only calls LLMs, publishes tasks or counts own totals has no level to report, and is not silent for that."""
    cron = [
        'llm_requests_total{provider="openai",model="gpt-4o",environment="cron"} 3',
        'celery_tasks_submitted_total{task_name="a",queue="b",environment="cron"} 3',
        'telemetry_unanswered_exports_total{environment="cron"} 0',
    ]
    pages.totals.says("\n".join([pages.totals.answers["/"][1], *cron, ""]))
    assert doctor("--collector", "127.0.0.1", "--environment", "cron").findings == []
    pages.totals.says("\n".join([*cron, ""]))
    pages.levels.says("")
    assert doctor("--collector", "127.0.0.1").findings == []


def test_absent_environment_is_the_first_finding(pages: Pages, doctor: Doctor) -> None:
    """An environment of which there is no series is named, with those there are."""
    told = doctor("--collector", "127.0.0.1", "--environment", "prod")
    assert told.first == "environment-absent"
    assert "'dev'" in told.findings[0]["problem"]


def test_collector_that_restores_is_the_first_finding(pages: Pages, doctor: Doctor) -> None:
    """A page of totals that is not complete yet is told apart from one that is gone."""
    pages.totals.says("", 503)
    assert doctor("--collector", "127.0.0.1").first == "collector-restoring"


def test_address_that_is_none_cannot_be_run(bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An address that is none is refused with status 2 and a sentence that shows one."""
    from telemetry.cli.main import main

    assert main(["doctor", "--collector", "http://[::1"]) == 2
    assert "is no address of a collector" in capsys.readouterr().err
    bare.setenv("OTELCOL_TOTALS_PORT", "abc")
    assert main(["doctor", "--collector", "127.0.0.1"]) == 2
    assert "OTELCOL_TOTALS_PORT='abc' is not valid: set it to a port" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["doctor", "watch", "preview"])
def test_prometheus_that_is_no_address_cannot_be_asked(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command that reads from Prometheus refuses an address that is none by the same sentence."""
    from telemetry.cli.main import main

    with pytest.raises(SystemExit, match="2"):
        main([command, "--prometheus", "127.0.0.1:9090"])
    assert "'127.0.0.1:9090' is no address: write it as http://127.0.0.1:9090" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", "--prometheus", "http://me:sEcReT@127.0.0.1:{closed}"],
        ["doctor", "--prometheus", "{peer}"],
        ["doctor", "--prometheus", "me:sEcReT@127.0.0.1:9090"],
        ["doctor", "--collector", "http://me:sEcReT@127.0.0.1"],
        ["doctor", "--collector", "ftp://me:sEcReT@127.0.0.1"],
        ["watch", "--once", "--interval", "0.01", "--prometheus", "http://me:sEcReT@127.0.0.1:{closed}"],
        ["watch", "--once", "--interval", "0.01", "--prometheus", "me:sEcReT@127.0.0.1:9090"],
        ["preview", "--prometheus", "me:sEcReT@127.0.0.1:9090"],
        ["watch", "--once", "--interval", "0.01", "--collector", "ftp://me:sEcReT@127.0.0.1"],
    ],
)
def test_credentials_are_used_and_not_shown(
    pages: Pages, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Credentials of an address go to its server, and into no line, whatever comes of it."""
    from telemetry.cli.main import main

    peer = Peer()
    address = peer.url.replace("//", "//me:sEcReT@")
    with suppress(SystemExit):
        main([argument.format(closed=free_port(), peer=address) for argument in arguments])
    shown = capsys.readouterr()
    assert shown.out + shown.err
    assert "sEcReT" not in shown.out + shown.err
    assert peer.authorizations <= {"Basic bWU6c0VjUmVU"}
    assert bool(peer.authorizations) == ("{peer}" in arguments)
    peer.close()
