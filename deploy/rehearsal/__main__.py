"""Rehearses compose.yaml: starts its services, sends traffic, kills processes and containers, and compares counts.

``python -m deploy.rehearsal [--actions N]`` as root; everything is in namespaces of its own, which end with it.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from deploy.rehearsal.composed import read
from deploy.rehearsal.fleet import Rehearsal, RehearsalError
from deploy.rehearsal.namespaces import Box
from deploy.settings import ROOT
from support import exposition
from support.processes import children
from support.waiting import eventually

_LEFT = {"left": "499"}  # a stream whose reader went away
_INSIDE = "REHEARSAL_INSIDE"
_NAMES = ("POSTGRES_PASSWORD", "ADMIN_TOKEN", "FLOWER_PASSWORD", "GRAFANA_PASSWORD", "SIMULATED_LLM_API_KEY")


def main() -> int:
    """Rehearse, and say what was counted."""
    parser = argparse.ArgumentParser(prog="python -m deploy.rehearsal", description=__doc__)
    parser.add_argument("--actions", type=int, default=60, help="of simulated users, 60 by default")
    given = parser.parse_args()
    if os.geteuid() != 0:
        print("Namespaces need root: run it as root, or on a machine with a container engine.", file=sys.stderr)
        return 2
    if _INSIDE not in os.environ:
        return _isolated()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
        # Names of network namespaces are files.
        Path("/run/netns").mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        try:
            return _rehearse(Path(folder), given.actions)
        except RehearsalError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _isolated() -> int:
    """The same command, where networks, mounts and processes are its own and end with it."""
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    again = [sys.executable, "-m", "deploy.rehearsal", *sys.argv[1:]]
    return subprocess.run([*command, *again], env={**os.environ, _INSIDE: "1"}, check=False).returncode


def _rehearse(folder: Path, actions: int) -> int:
    # Nothing is exported by itself before its process is killed: what arrives then came by its box.
    variables = {name: secrets.token_urlsafe(24) for name in _NAMES} | {"EXPORT_INTERVAL_MS": "600000"}
    rehearsal = Rehearsal(read(variables), folder)
    if rehearsal.left_out:
        print(f"Not installed here and left out: {', '.join(rehearsal.left_out)}.")
    rehearsal.start()
    print(f"{len(rehearsal.containers)} containers are started.", flush=True)
    rehearsal.await_end("addresses")
    print(rehearsal.of("addresses")[0].log.read_text())
    print(f"{actions} actions of simulated users …", flush=True)
    truth = _traffic(rehearsal, folder, actions, variables["ADMIN_TOKEN"])
    _storm(rehearsal)
    print("Who counts is stopped …", flush=True)
    late = _stopped(rehearsal)
    different = _compared(rehearsal, truth)
    late += rehearsal.stop()
    if late:
        print(f"Did not stop in time: {', '.join(late)}.", file=sys.stderr)
    return 1 if different or late else 0


def _traffic(rehearsal: Rehearsal, folder: Path, actions: int, token: str) -> Counter[tuple[str, str, str]]:
    """What users did: answers by method, route and status."""
    file = folder / "truth.json"
    url = f"http://{rehearsal.address('nginx')}:8100"
    command = [
        sys.executable,
        "-m",
        "deploy.traffic",
        "--base-url",
        url,
        "--requests",
        str(actions),
        "--truth",
        str(file),
    ]
    environment = {**os.environ, "ADMIN_TOKEN": token}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    rows = json.loads(file.read_text())["requests"]
    return Counter({(row["method"], row["route"], row["status"]): row["count"] for row in rows})


def _storm(rehearsal: Rehearsal) -> None:
    """A command is killed in one replica and one worker each, and whole containers are; then all are started again."""
    for service in ("app", "worker"):
        one, other, *_ = rehearsal.of(service)
        _kill_command(one)
        other.kill()
        print(f"Killed: the command of {one.name}, with its last words; {other.name}, without.", flush=True)
        for box in (one, other):
            rehearsal.revive(box)
        rehearsal.await_healthy(service)


def _kill_command(box: Box) -> None:
    for pid in children(box.first()):
        subprocess.run(["kill", "-9", str(pid)], check=True)
    box.ended(60)


def _stopped(rehearsal: Rehearsal) -> list[str]:
    """Stop who counts, as `docker compose stop` does; who did not end in time."""
    boxes = [box for service in ("beat", "worker", "app") for box in rehearsal.of(service)]
    return [box.name for box in boxes if not box.stop("SIGTERM", 60)]


def _compared(rehearsal: Rehearsal, truth: Counter[tuple[str, str, str]]) -> int:
    """How many rows differ; the table is printed."""
    page = f"http://{rehearsal.address('otel-collector')}:8889/metrics"

    def counted() -> dict[tuple[str, str, str], float]:
        found = exposition.series(exposition.scrape(page), "http_requests_total")
        rows = ((dict(labels), value) for labels, value in found.items())
        kept = {(row["method"], row["endpoint"], row["status_code"]): value for row, value in rows if value}
        return {key: value for key, value in kept.items() if key[1] not in {"/ready", "/health"}}

    wanted = {
        (method, route, _LEFT.get(status, status)): float(count) for (method, route, status), count in truth.items()
    }
    found = eventually(counted, 30, wanted=lambda rows: rows == wanted)
    samples = exposition.scrape(page)
    tasks = [exposition.total(samples, f"celery_tasks_{what}_total") for what in ("submitted", "completed", "failed")]
    different = [key for key in sorted({*wanted, *found}) if wanted.get(key) != found.get(key)]
    for key in different:
        print(f"{' '.join(key)}: {wanted.get(key, 0):.0f} answered, {found.get(key, 0):.0f} counted")
    answered, requests = sum(wanted.values()), sum(found.values())
    print(f"{answered:.0f} requests answered, {requests:.0f} counted, {len(different)} rows differ.")
    print(f"{tasks[0]:.0f} tasks submitted, {tasks[1]:.0f} completed, {tasks[2]:.0f} failed.")
    return len(different)


if __name__ == "__main__":
    sys.exit(main())
