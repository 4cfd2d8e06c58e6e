"""What `docs/scale.md` says in words holds in the figures that are stored for its tables."""

from __future__ import annotations

from docs.results import result_of
from docs.scale import OURS

FOUND = result_of("scale")


def test_three_thousand_are_as_three() -> None:
    """From 3 to 3,000 senders: the same series, no difference, memory within a tenth, a scrape that does not grow."""
    runs = FOUND["senders"]
    assert [run["senders"] for run in runs] == [3, 30, 300, 3000]
    assert {run["series"] for run in runs} == {18_000}
    assert {run["wrong_series"] for run in runs} == {0}
    memory = [run["rss_mib"] for run in runs]
    assert max(memory) < 1.1 * min(memory)
    assert runs[-1]["scrape_ms"] < 1.5 * runs[0]["scrape_ms"]


def test_ours_counts_all() -> None:
    """Whatever happens, ours counts what it acknowledged; the events of others that fail are shown as they are."""
    assert len(FOUND["peers"]) >= 5
    for by_name in FOUND["peers"].values():
        assert by_name[OURS]["counted"] == by_name[OURS]["events"]


def test_replaced_senders_are_forgotten() -> None:
    """The table of senders is as large as it may be, and what is counted stays right."""
    full = FOUND["churn"]["full"]
    assert full["wrong_series"] == 0
    assert full["senders_in_all"] > full["senders_remembered"]


def test_disk_is_given_the_store_now_and_then() -> None:
    """What goes to the disk follows from the store, not from points; with every commit on the disk it is more."""
    runs = [*FOUND["senders"], *FOUND["sizes"]]
    for run in runs:
        in_half_a_minute = run["disk_kb_per_second"] * 30 / 1024
        assert 0 < in_half_a_minute < 2.5 * run["store_mib"], run  # twice where a run begins with it and ends with it
    plain = next(run for run in FOUND["senders"] if run["senders"] == FOUND["synced"]["senders"])
    assert FOUND["synced"]["wrong_series"] == 0
    assert FOUND["synced"]["disk_kb_per_second"] > plain["disk_kb_per_second"]
