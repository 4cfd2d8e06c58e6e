"""A user's own metrics without a line of telemetry in the application: `TELEMETRY_CATALOGUE` names their module."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from support import web
from support.ports import free_port
from support.waiting import eventually
from tests.adopt.installed import Installed
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import environment

METRICS = """
from typing import Literal, TypedDict
import telemetry
from telemetry.catalogue import CounterSpec
class Kind(TypedDict):
    kind: Literal["a", "b"]
BOUGHT = CounterSpec(name="own_bought_total", help="Things bought.", labels=Kind)
bought = telemetry.counter(BOUGHT)
"""
APPLICATION = """
from fastapi import FastAPI
from own_things import bought
app = FastAPI()
@app.get("/buy")
def buy() -> None:
    bought.add(1, {"kind": "a"})
"""


def test_named_module_is_found_under_an_agent(installed: Installed, tmp_path: Path) -> None:
    """In workers that an agent measures, own metrics count beside the requests, and nothing is said of their module."""
    (tmp_path / "own_things.py").write_text(METRICS)
    (tmp_path / "own.py").write_text(APPLICATION)
    port, sink = free_port(), OtlpSink()
    command = installed.command("uvicorn", "own:app", "--workers", "2", "--port", str(port), instrumented=True)
    variables = {**installed.variables(), "TELEMETRY_CATALOGUE": "own_things"}
    log = tmp_path / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment(sink.url, **variables, TELEMETRY_STATE_DIR=str(tmp_path / "state"), TELEMETRY_STRICT=""),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}/buy"
        assert eventually(lambda: web.is_ok(url), 60), log.read_text()
        for _ in range(9):
            assert web.is_ok(url)

        def counted() -> tuple[float, float]:
            return sink.total("own_bought_total", kind="a"), sink.total("http_requests_total", endpoint="/buy")

        own, requests = eventually(counted, wanted=lambda both: both[0] == both[1] >= 10)
        assert own == requests >= 10, log.read_text()
        assert "own_things" not in log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        sink.close()
