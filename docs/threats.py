"""The threat model: what is worth protecting, who comes, what happens then, and the test that shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from docs.markdown import table as table_of

ROWS = Path(__file__).parent / "security" / "rows.json"
"""What `make security-page` measured."""
FUZZED = ROWS.with_name("fuzz.json")
"""What `make fuzz` tried."""


class Threat(NamedTuple):
    """A line of the model.

    Attributes:
        asset: What is worth protecting.
        attacker: Who comes, and with what.
        happens: What comes of it.
        tests: Where that is shown: `file::name`, of Python and of Go.
    """

    asset: str
    attacker: str
    happens: str
    tests: tuple[str, ...]


_SENDERS = "tests/deploy/test_hostile_senders.py"
_CONNECTIONS = "tests/deploy/test_hostile_connections.py"
_ACCESS = "tests/deploy/test_access.py"
_RUDE = "tests/fleet/test_rude_clients.py"
_NOWHERE = "tests/fleet/test_written_nowhere.py"
_GATEWAY = "tests/deploy/test_hostile_gateway.py"
_AUDIT = "tests/deploy/test_audit.py"

THREATS = (
    Threat(
        "counts of honest senders",
        "a sender with made-up labels, names, environments, kinds, amounts, times, buckets, bytes that are no text",
        "its points are folded into `other` or dropped, and counted as such; every other count is exact",
        (f"{_SENDERS}::test_honest_counts_are_exact", "collector/fleetprometheus/fuzz_test.go::FuzzPage"),
    ),
    Threat(
        "room for new series",
        "one who fills the budgets first",
        "each known metric keeps the series that are reserved for it",
        (f"{_SENDERS}::test_honest_newcomers_have_their_place",),
    ),
    Threat(
        "an honest sender's numbers",
        "one who uses its name with other numbers",
        "a sender is its id and the rest of its resource: nobody else uses its numbers up",
        (f"{_SENDERS}::test_honest_counts_are_exact",),
    ),
    Threat(
        "memory of the collector",
        "small requests that are huge uncompressed or decoded, many at once, over HTTP and gRPC",
        "beyond the size 413, `RESOURCE_EXHAUSTED`; else they wait, or come again: 503, `UNAVAILABLE`",
        (
            f"{_CONNECTIONS}::test_bombs_are_refused",
            f"{_CONNECTIONS}::test_honest_counts_are_exact",
            f"{_CONNECTIONS}::test_grpc_says_what_is_too_large",
        ),
    ),
    Threat(
        "the collector's ports",
        "heads and bodies that never end, idle connections, heads of megabytes, other protocols",
        "cut off in time, 408 or 431; others are served meanwhile",
        (f"{_CONNECTIONS}::test_honest_counts_are_exact",),
    ),
    Threat(
        "senders behind the gateway",
        "the same at the gateway: bombs, heads and bodies that are slow, endless or large, other protocols",
        "the collector's answer, or the gateway's 413, 431, 503; an address has its share; small requests are passed "
        "on when they are whole, and no disk is filled; nothing of it is logged; honest counts are exact",
        (
            f"{_GATEWAY}::test_honest_counts_are_exact",
            f"{_GATEWAY}::test_bombs_are_refused",
            f"{_GATEWAY}::test_address_has_its_share",
            f"{_GATEWAY}::test_small_slow_bodies_reach_no_collector",
            f"{_GATEWAY}::test_large_bodies_fill_no_disk",
            f"{_GATEWAY}::test_limits_are_sentences",
            f"{_GATEWAY}::test_words_are_in_no_log",
        ),
    ),
    Threat(
        "Prometheus' scrapes",
        "readers that ask for a page and do not read it",
        "after two seconds one makes room for the next reader",
        (f"{_CONNECTIONS}::test_slow_readers_make_room",),
    ),
    Threat(
        "the totals on disk",
        "damaged, cut and made-up records of the store",
        "the store is set aside with an error, and a new one begun; the collector does not end",
        ("collector/fleettotals/fuzz_test.go::FuzzRecord", "collector/internal/boltfile/boltfile_test.go::FuzzRecords"),
    ),
    Threat(
        "the collector behind a network",
        "a stranger without a token or certificate, or who listens",
        "401 or 403, TLS; nothing that waits is lost",
        (
            f"{_ACCESS}::test_wrong_token_is_told",
            f"{_ACCESS}::test_sender_is_verified",
            f"{_ACCESS}::test_plain_text_is_refused",
            "tests/fleet/test_secure.py::test_nobody_else_is",
        ),
    ),
    Threat(
        "series of an environment",
        "a sender with the token of another one",
        "403 for all of its export",
        (f"{_ACCESS}::test_token_is_for_its_environment",),
    ),
    Threat(
        "the application that is measured",
        "clients with hostile paths, methods, hosts, amounts, models; other instrumentors with any attributes",
        "labels are clamped, amounts refused; nothing raises into the application",
        (
            "tests/telemetry/test_hostile_input.py::test_hostile_paths_and_methods",
            "tests/telemetry/test_fuzz_bridge.py::test_any_measurement",
            "tests/telemetry/metrics/test_fuzz_clamp.py::test_any_labels",
        ),
    ),
    Threat(
        "the application's own endpoint",
        "slow, silent and endless readers",
        "16 connections at once, silence ends after 10 s; the page is there for the next reader",
        ("tests/telemetry/pipeline/test_endpoint_hostile.py::test_hostile_clients",),
    ),
    Threat(
        "metrics of tasks and queues",
        "one who reaches the broker: made-up tasks, queues, dates, and messages that are none",
        "a task that the worker does not know is `other`, a queue `unknown`, a date that no clock showed is none; "
        "queues are read on",
        (
            "tests/telemetry/celery/test_hostile_messages.py::test_waits_stay_waits",
            "tests/telemetry/celery/test_hostile_messages.py::test_message_that_lies_about_its_queue",
            "tests/telemetry/celery/test_hostile_messages.py::test_queues_are_read",
            "tests/telemetry/celery/test_rabbitmq.py::test_announcements_of_nobody",
        ),
    ),
    Threat(
        "boxes of processes",
        "another user of the machine",
        "a directory that is not this user's alone is refused",
        ("tests/telemetry/box/test_box.py::test_directories_of_others",),
    ),
    Threat(
        "counts in boxes",
        "a disk, or somebody, that changes or cuts a file",
        "what can be told is set aside with an error; amounts are never negative, infinite or no number",
        ("tests/telemetry/box/test_fuzz.py::test_any_bytes", "tests/telemetry/box/test_fuzz.py::test_damaged_box"),
    ),
    Threat(
        "the front door",
        "slow clients, long heads, large bodies",
        "cut off after `SLOW_CLIENT_SECONDS`; 400, 413, 414; honest requests are answered and counted exactly",
        (f"{_RUDE}::test_slow_clients_are_cut_off", f"{_RUDE}::test_long_requests_are_refused"),
    ),
    Threat(
        "memory of the app",
        "bodies without end, past the front door, too: JSON, forms, files, compressed",
        "413 beyond 1 MiB, or `UPLOAD_MAX_BYTES` of a file: a replica grows by less than one of the bodies",
        (f"{_RUDE}::test_replicas_hold_no_body", f"{_RUDE}::test_app_says_what_is_too_large"),
    ),
    Threat(
        "the app's operations",
        "any input that fits its description, or does not",
        "an answer as it is described, never a 5xx",
        ("tests/app/test_app_openapi.py::test_answers_as_described",),
    ),
    Threat(
        "what users write",
        "whoever reads pages, Prometheus, logs or boxes",
        "no word of it is there: not of paths, queries, headers, messages, files, names, models that users ask for, "
        "senders' resources, unknown tasks, arguments and exceptions of tasks, SQL, vendors' answers and tools",
        (
            f"{_NOWHERE}::test_pages_are_clean",
            f"{_NOWHERE}::test_prometheus_knows_none",
            f"{_NOWHERE}::test_logs_are_clean",
            f"{_NOWHERE}::test_boxes_are_clean",
            "tests/telemetry/test_words.py::test_statements",
            "tests/telemetry/test_words.py::test_attributes_that_are_no_label",
            "tests/telemetry/test_words.py::test_answers_of_vendors",
            "tests/telemetry/test_words.py::test_exceptions",
            "tests/app/test_app_logs.py::test_messages_are_not_quoted",
        ),
    ),
    Threat(
        "tokens and keys",
        "whoever reads logs, or the repository",
        "they are in no log; a planted key fails `make check`",
        (f"{_ACCESS}::test_no_secret_is_logged", f"{_AUDIT}::test_planted_key_is_found"),
    ),
    Threat(
        "what is installed",
        "a package with a known hole, or a licence that binds",
        "`make audit` and `make check` fail; a database that cannot be asked is no pass",
        (
            f"{_AUDIT}::test_report_of_packages",
            f"{_AUDIT}::test_unreachable_database_is_no_pass",
            f"{_AUDIT}::test_everything_has_a_licence",
        ),
    ),
)

LEFT = (
    (
        "Connections are not counted at the collector: until it is cut off, an idle one takes 20 kB and a file of it.",
        "the gateway, a firewall",
    ),
    (
        "Slow senders of many small bodies can take all that may wait: others get 503 and come again meanwhile.",
        "the same",
    ),
    (
        "A body that comes byte by byte holds a place at the gateway; an address has a share of them.",
        "a firewall",
    ),
    (
        "The official contrib collector does not bound the memory of requests that are decoded at the same time.",
        "the durable one",
    ),
    (
        "A sender that is let in can write any label values, and wrong amounts under its own environment.",
        "a token for each environment",
    ),
    (
        "Whoever reaches the broker can run the tasks that there are, and name queues and workers.",
        "the broker's password",
    ),
    ("A box that is changed so that it still makes sense is believed.", "the directory is its user's alone"),
    ("Whoever can read an application's memory or its files as its own user reads its tokens.", "the operating system"),
)
"""What is not held off, and what does."""


def table() -> str:
    """The model, a row for each line."""
    rows = ["| Asset | Attacker | What happens | Shown by |", "|---|---|---|---|"]
    for threat in THREATS:
        shown = ", ".join(f"`{test.rpartition('/')[2]}`" for test in threat.tests)
        rows.append(f"| {threat.asset} | {threat.attacker} | {threat.happens} | {shown} |")
    return "\n".join(rows)


def left() -> str:
    """What is not held off."""
    return "\n".join(["| Not held off | What does |", "|---|---|", *(f"| {what} | {who} |" for what, who in LEFT)])


def measured() -> str:
    """What the attacks on a collector cost it, in the order in which they came."""
    head = [
        "| Attack | Most memory of the collector so far, MiB | Honest exports meanwhile | Lost or doubled |",
        "|---|---|---|---|",
    ]
    rows = json.loads(ROWS.read_text())
    return "\n".join(
        [*head, *(f"| {row['attack']} | {row['peak_mib']:.0f} | {row['exports']:,} | {row['wrong']} |" for row in rows)]
    )


def fuzzed() -> str:
    """What random input was tried last on each target, and whether anything broke."""
    rows = json.loads(FUZZED.read_text())
    return table_of(
        ["Target", "Tried", "Inputs", "Broke"],
        (
            [f"`{name}`", row["day"], f"{row['executions']:,}", "**yes**" if row["broke"] else "nothing"]
            for name, row in rows.items()
        ),
    )
