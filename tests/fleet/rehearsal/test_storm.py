"""The accuracy storm on compose.yaml's containers, in namespaces; `make rehearse` runs it, as root."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.rehearsal.composed import read
from deploy.rehearsal.fleet import Rehearsal
from docs.accuracy.table import Row, Table
from support.exposition import Samples, scrape
from support.waiting import eventually
from tests.fleet.chaos import asked, compared, truth
from tests.fleet.chaos.watcher import Watcher
from tests.fleet.rehearsal import clients
from tests.fleet.rehearsal.restarts import Restarts
from tests.fleet.rehearsal.storm import Storm
from tests.fleet.rehearsal.traffic import answers, traffic
from tests.support import compose_secrets

SECONDS = float(os.environ.get("REHEARSAL_SECONDS", "75"))
SEED = int(os.environ.get("REHEARSAL_SEED", "14"))
PAUSE = 4.0  # seconds between two kills, at most
WHO_COUNTS = ("beat", "worker", "app")
TOLD = "/run/told"  # in containers


def _telling(project: dict[str, Any], told: Path) -> dict[str, Any]:
    """The same containers, whose processes tell what they count."""
    told.mkdir()
    told.chmod(0o1777)
    for service in project["services"].values():
        environment = service.get("environment") or {}
        if environment.get("OTEL_METRICS_EXPORTER") == "otlp":
            environment |= {"PYTHONPATH": "/srv/fleet/tests/fleet/chaos/injected:/srv/fleet", truth.DIRECTORY: TOLD}
            service["volumes"].append({"type": "bind", "source": str(told), "target": TOLD})
    project["services"]["simulated-llm"]["environment"]["SIMULATED_LLM_SPEED"] = "20"
    return project


def _told_rows(told: Path, page: Samples) -> Iterator[Row]:
    """A row for each counter and the count of each histogram, over all of its series."""
    shown, sums = compared.comparable(page), defaultdict(lambda: [0.0, 0.0, 0.0])
    for name, labels, done, begun in truth.samples(truth.read(told)):
        if not name.endswith(("_bucket", "_sum")):
            amounts = (done, begun, shown.get((name, tuple(sorted(labels))), 0.0))
            sums[name] = [before + amount for before, amount in zip(sums[name], amounts, strict=True)]
    for name, (done, begun, counted) in sorted(sums.items()):
        least, most, value = (round(figure, 6) for figure in (done, begun, counted))
        yield Row("rehearsal", "storm", name, "processes", least, most, value, least, most)


@pytest.mark.rehearsal
@pytest.mark.timeout(1500)
def test_containers_are_killed_at_random(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Containers, commands and pool processes are killed under traffic, with and without last words; every total is what was counted."""
    variables = {name: secrets.token_urlsafe(24) for name in compose_secrets.NAMES} | {"EXPORT_INTERVAL_MS": "1000"}
    told, seen = folder / "told", folder / "seen.json"
    rehearsal = Rehearsal(_telling(read(variables), told), folder)

    def say(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    if rehearsal.left_out:
        say(f"\nNot installed here and left out: {', '.join(rehearsal.left_out)}.")
    began = time.monotonic()
    rehearsal.start()
    rehearsal.await_end("addresses")
    say(f"{len(rehearsal.containers)} containers are started.\n{rehearsal.of('addresses')[0].log.read_text()}")
    say(f"{SECONDS:.0f} seconds of storm, seed {SEED} …")
    totals = f"http://{rehearsal.address('otel-collector')}:8889/metrics"
    watcher, restarts = Watcher(totals), Restarts(rehearsal)
    storm = Storm(rehearsal, restarts, SEED, PAUSE)
    with watcher.watching():
        with restarts.applied(), traffic(rehearsal, variables["ADMIN_TOKEN"], seen, SECONDS, SEED):
            storm.rage(SECONDS)
        say("Who counts is stopped …")
        late = [box.name for name in WHO_COUNTS for box in rehearsal.of(name) if not box.stop("SIGTERM", 60)]
        # It delivers what is left, as its last words.
        late += [box.name for box in rehearsal.of("boxes") if not box.stop("SIGTERM", 60)]
    left = sorted(path.name for path in rehearsal.volume("boxes").iterdir())
    page = scrape(totals)
    wrong, samples = compared.differences(told, page)
    prometheus = f"http://{rehearsal.address('prometheus')}:9090"
    requests = sum(value for (name, _), value in page.items() if name == "http_requests_total")
    reached = eventually(lambda: asked.requests(prometheus), 60, wanted=lambda value: value == requests)
    fallen = asked.resets(prometheus, {name for name, _ in page}, time.monotonic() - began)
    replicas = sum(count for (_, service), count in storm.killed.items() if service == "app")
    table = Table()
    table.rows = [*clients.rows(answers(seen), page, replicas), *_told_rows(told, page)]
    late += rehearsal.stop()
    for (kind, service), count in sorted(storm.killed.items()):
        say(f"killed    | {kind} of {service} | {count}")
    say("\n".join([*table.lines(), *clients.differences(answers(seen), page)]))
    say(
        f"{samples} samples compared, {len(wrong)} differ; {compared.in_flight(told)} events were in flight at a kill; "
        f"{restarts.count} restarts; {watcher.pages} pages seen, {watcher.refused} refused"
    )
    assert wrong == []
    assert [row for row in table.rows if not row.is_right] == []
    assert watcher.wrong == []
    assert reached == requests
    assert fallen == []
    assert left == []
    assert late == []
