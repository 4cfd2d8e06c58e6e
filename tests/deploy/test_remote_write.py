"""Remote write as it is shipped: a Prometheus agent beside the collector, and a Prometheus that it writes to, agree on counts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.settings import ROOT
from support import web
from support.collector import DURABLE, Collector, running
from support.ports import free_port
from support.waiting import eventually
from telemetry.shipped import write_files
from tests.support.sender import Sender

FOLDER = ROOT / "deploy" / "remote-write"
BIN = Path(sys.executable).parent
SENDERS, EACH = 5, 7
WRITERS = ("agent", "mimir", "thanos", "victoriametrics")


@pytest.mark.parametrize("name", WRITERS)
def test_agents_take_their_files(name: str) -> None:
    """Each file is one for an agent; the jobs are those that users copy."""
    command = [BIN / "promtool", "check", "config", "--agent", FOLDER / f"{name}.yml"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    jobs = yaml.safe_load((FOLDER / "scrape.yml").read_text())
    source = yaml.safe_load((ROOT / "grafana" / "prometheus-scrape-config.yml").read_text())
    assert jobs == {"scrape_configs": source["scrape_configs"]}


def test_receiver_takes_its_file(tmp_path: Path) -> None:
    """The receiver's file is one for Prometheus, with the rules that `fleet-telemetry files` writes beside it."""
    write_files(tmp_path)
    file = tmp_path / "deploy" / "remote-write" / "receiver.yml"
    done = subprocess.run(
        [BIN / "promtool", "check", "config", file], check=True, timeout=60, capture_output=True, text=True
    )
    assert f"{len(list((ROOT / 'grafana' / 'alerts').iterdir()))} rule files found" in done.stdout


def _flags(name: str) -> list[str]:
    """How a file's own head says that its program is started."""
    lines = [
        line.lstrip("# ").rstrip("\\ ") for line in (FOLDER / f"{name}.yml").read_text().splitlines() if line[:1] == "#"
    ]
    first = next(number for number, line in enumerate(lines) if line.startswith("prometheus "))
    words = " ".join(lines[first : lines.index("", first)]).split()[1:]
    return [word for word in words if not word.startswith(("--config.file", "--storage"))]


@contextmanager
def _prometheus(name: str, directory: Path, port: int, text: str, data: str) -> Iterator[str]:
    """A Prometheus with a shipped file, killed at the end of the block; its address."""
    file = directory / f"{name}.yml"
    file.write_text(text)
    listen = f"127.0.0.1:{port}"
    process = subprocess.Popen(
        [BIN / "prometheus", f"--config.file={file}", data, f"--web.listen-address={listen}", *_flags(name)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert eventually(lambda: web.is_ok(f"http://{listen}/-/ready"))
        yield f"http://{listen}"
    finally:
        process.kill()
        process.wait()


def _agent_files(directory: Path, collector: Collector, receiver: int) -> str:
    """The agent's files, with addresses of this test; it scrapes and sends more often."""
    jobs = (FOLDER / "scrape.yml").read_text().replace("15s", "1s").replace("10s", "1s")
    for port, name in ((8888, "METRICS"), (8889, "TOTALS"), (8890, "LEVELS")):
        jobs = jobs.replace(f"localhost:{port}", f"127.0.0.1:{collector.ports[name]}")
    (directory / "scrape.yml").write_text(jobs)
    config = yaml.safe_load(
        (FOLDER / "agent.yml").read_text().replace("prometheus-receiver:9090", f"127.0.0.1:{receiver}")
    )
    config["remote_write"][0]["queue_config"] = {"batch_send_deadline": "100ms"}
    return yaml.safe_dump(config)


def _value(receiver: str, query: str) -> float | None:
    answer: dict[str, Any] = web.get(f"{receiver}/api/v1/query", params={"query": query}).json()
    found = answer.get("data", {}).get("result", [])
    return float(found[0]["value"][1]) if found else None


def _count(collector: Collector, prefix: str) -> None:
    for number in range(SENDERS):
        sender = Sender(collector, f"{prefix}{number}", numbered=f"{prefix}{number}")
        for _ in range(EACH):
            sender.counter("messages_sent_total", 1, {"plan": "free"})
            sender.histogram("http_request_duration_seconds", [0.1], {"endpoint": "/x"}, [0.05, 0.5])
        sender.level("http_requests_in_progress", 2, {"endpoint": "/x"})


def test_counts_arrive_over_a_kill(tmp_path: Path) -> None:
    """Counts, the first of each series as well, arrive once; a killed receiver delays them."""
    port, data = free_port(), tmp_path / "receiver"
    receiving = (FOLDER / "receiver.yml").read_text()
    storage = f"--storage.tsdb.path={data}"
    with running(DURABLE) as collector:
        agent = _agent_files(tmp_path, collector, port)
        with _prometheus("agent", tmp_path, free_port(), agent, f"--storage.agent.path={tmp_path / 'agent'}"):
            with _prometheus("receiver", tmp_path, port, receiving, storage) as receiver:
                assert eventually(lambda: _value(receiver, "count(up == 1)") == 3)
                _count(collector, "a")
                total = SENDERS * EACH
                assert eventually(lambda: _value(receiver, "sum(messages_sent_total)") == total)
                # Each series is sent by a shard of the agent's, and levels are another page: one that is there says nothing of others.
                for metric in ("messages_sent_total", "http_request_duration_seconds_count"):
                    increase = f'sum(increase({metric}{{cluster="main"}}[5m] anchored))'
                    assert eventually(lambda query=increase: _value(receiver, query) == total)
                assert eventually(lambda: _value(receiver, 'count(http_requests_in_progress{instance="a0"})') == 1)
            _count(collector, "b")
            with _prometheus("receiver", tmp_path, port, receiving, storage) as receiver:
                assert eventually(lambda: _value(receiver, "sum(messages_sent_total)") == 2 * total, 60)
                assert _value(receiver, "sum(increase(messages_sent_total[5m] anchored))") == 2 * total
                assert collector.total("messages_sent_total") == 2 * total
