"""Python programs in processes of their own that record with telemetry; it knows no collector."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.processes import children

ROOT = Path(__file__).parents[2]

BEGIN = """
import multiprocessing, os, signal, sys, threading, time
import telemetry
from tests.support import chat
t = telemetry.configure("test", catalogue=chat)
def message(plan="free"): chat.of(t).message_sent(plan=plan)
def timed(seconds=0.1): t.http.answered("GET", "/x", 200, seconds)
def say(*words): print(*words, flush=True)
"""


@dataclass(frozen=True)
class Finished:
    """What is left of a program that ended.

    Attributes:
        seconds: From its start to its end, imports included.
    """

    status: int
    output: str
    errors: str
    seconds: float


def environment(endpoint: str, **more: str) -> dict[str, str]:
    """What a process gets that exports to ``endpoint`` every 200 ms, unless ``more`` says otherwise."""
    own = {
        "PYTHONPATH": str(ROOT),
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }
    return {**os.environ, **own, **more}


def start(code: str, endpoint: str, *, begin: str = BEGIN, **env: str) -> subprocess.Popen[str]:
    """A program that records and exports every 200 ms.

    Args:
        code: What it does after `begin`; `say()` prints a line at once.
        endpoint: `OTEL_EXPORTER_OTLP_ENDPOINT`.
        begin: What it does first.
        env: More environment variables.
    """
    return subprocess.Popen(
        [sys.executable, "-c", begin + textwrap.dedent(code)],
        env=environment(endpoint, **env),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = 60) -> Finished:
    """Wait for the end of a program that reads its standard input no more."""
    started = time.monotonic()
    output, errors = process.communicate(timeout=seconds)
    return Finished(process.returncode, output, errors, time.monotonic() - started)


def run(code: str, endpoint: str, *, seconds: float = 60, begin: str = BEGIN, **env: str) -> Finished:
    """Run a program to its end, which must be a good one."""
    with started(code, endpoint, begin=begin, **env) as process:
        finished = finish(process, seconds)
    assert finished.status == 0, finished.errors
    return finished


@contextmanager
def started(code: str, endpoint: str, *, begin: str = BEGIN, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A program that does not survive the block."""
    process = start(code, endpoint, begin=begin, **env)
    try:
        yield process
    finally:
        if process.poll() is None:
            end(process)


def end(process: subprocess.Popen[str]) -> int:
    """Kill a program and what it forked; how many of these there were."""
    forked = len(children(process.pid))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return forked


def line(process: subprocess.Popen[str]) -> str:
    """The next line a program says."""
    assert process.stdout is not None
    said = process.stdout.readline().rstrip("\n")
    assert said, f"the program ended: {process.stderr.read() if process.stderr else ''}"
    return said
