"""compose.secure.yaml over compose.yaml, started in namespaces: the fleet counts through TLS and tokens, and nobody else is let in."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.rehearsal.composed import SECURE, read
from deploy.rehearsal.fleet import Rehearsal
from deploy.rehearsal.namespaces import Box
from deploy.settings import ROOT
from support import exposition
from support.waiting import eventually
from tests.fleet.chaos import asked
from tests.fleet.rehearsal import clients
from tests.fleet.rehearsal.traffic import answers, traffic
from tests.support import compose_secrets

COUNTS = """
import sys, telemetry
t = telemetry.configure("stranger")
t.http.answered("GET", "/stranger", 200, 0.1)
delivered = t.force_flush(5)
telemetry.shutdown()
sys.exit(not delivered)
"""
WRONG = {
    "a wrong token": "echo a-token-that-nobody-knows >/tmp/token; export TELEMETRY_OTLP_TOKEN_FILE=/tmp/token",
    "plain text": "export OTEL_EXPORTER_OTLP_ENDPOINT=http://otel-collector:4318",
    "no certificate": "unset OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE OTEL_EXPORTER_OTLP_CLIENT_KEY",
}


def _composed(variables: dict[str, str], folder: Path) -> dict[str, Any]:
    """Both files, with secrets that the commands in the head of the second one make elsewhere."""
    lines = (line for line in SECURE.read_text().splitlines() if "fleet-certificates.sh" in line)
    command = next(lines).partition("(cd deploy && ")[2].partition(")")[0]
    script = command.replace("./", f"{ROOT}/deploy/", 1)
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True, capture_output=True)
    text = json.dumps(read(variables, SECURE))
    found: dict[str, Any] = json.loads(text.replace(f"{ROOT}/deploy/secrets", f"{folder}/secrets"))
    return found


def _counts(box: Box, line: str, name: str) -> bool:
    """Whether a process that counts one request in a container, its variables changed by a line of shell, delivers it."""
    return box.run(["sh", "-c", f"{line}; export TELEMETRY_STATE_DIR=/tmp/{name}; exec python -c '{COUNTS}'"])


@pytest.mark.rehearsal
@pytest.mark.timeout(900)
def test_secure_containers(folder: Path) -> None:
    """Every request is counted through TLS and tokens, Prometheus and the front door read pages, and strangers count nothing."""
    variables = {name: secrets.token_urlsafe(24) for name in compose_secrets.NAMES} | {"EXPORT_INTERVAL_MS": "1000"}
    rehearsal = Rehearsal(_composed(variables, folder), folder)
    rehearsal.start()
    rehearsal.await_end("addresses")
    seen = folder / "seen.json"
    with traffic(rehearsal, variables["ADMIN_TOKEN"], seen, 8, 1):
        pass
    worker = rehearsal.of("worker")[0]
    assert _counts(worker, "true", "known")
    assert [why for why, line in WRONG.items() if _counts(worker, line, why.replace(" ", "-"))] == []
    late = [
        box.name
        for name in ("beat", "worker", "app", "boxes")
        for box in rehearsal.of(name)
        if not box.stop("SIGTERM", 60)
    ]
    page = exposition.scrape(f"http://{rehearsal.address('nginx')}:8100/metrics")
    assert exposition.total(page, "http_requests_total", {"endpoint": "/stranger"}) == 1
    counted = {key: value for key, value in page.items() if ("endpoint", "/stranger") not in key[1]}
    assert [row for row in clients.rows(answers(seen), counted, 0) if not row.is_right] == []
    requests = sum(value for (name, _), value in page.items() if name == "http_requests_total")
    prometheus = f"http://{rehearsal.address('prometheus')}:9090"
    assert eventually(lambda: asked.requests(prometheus), 60, wanted=lambda value: value == requests)
    assert {found["metric"]["job"]: found["value"][1] for found in asked.prometheus(prometheus, "up")} == {
        "fastapi-queue-system": "1",
        "fastapi-queue-system-now": "1",
        "otel-collector": "1",
    }
    assert late + rehearsal.stop() == []
    assert not list(rehearsal.volume("boxes").iterdir())
