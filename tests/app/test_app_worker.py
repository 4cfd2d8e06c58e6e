"""A real worker process with a pool: what only the real thing shows."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.processes import children
from support.waiting import eventually
from tests.app.conftest import ROOT, RedisServer
from tests.app.fake_vendor import Vendor
from worker.celery_app import celery_app

CONVERSATIONS = "/api/v1/chat/conversations"
COMMAND = "worker -n test@%h -Q high,medium,low --pool prefork -c 1"


@pytest.fixture
def worker_process(environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker started as the fleet starts it, with one pool process."""
    arguments = [sys.executable, "-m", "celery", "-A", "worker.celery_app:celery_app", *COMMAND.split()]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _until(client: httpx.AsyncClient, url: str, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (task := (await client.get(url)).json())["state"] not in states:
        assert time.monotonic() < deadline, task
        await asyncio.sleep(0.05)
    return dict(task)


async def _send(client: httpx.AsyncClient, text: str) -> str:
    return str((await client.post(CONVERSATIONS, json={"message": text})).json()["poll_url"])


@pytest.mark.asyncio
async def test_real_worker_replies(
    client: httpx.AsyncClient,
    worker_process: subprocess.Popen[bytes],
    redis_server: RedisServer,
    vendor: Vendor,
) -> None:
    """A pool process replies, retries in the queue of the plan, and leaves nothing on the broker."""
    vendor.failures = [503]
    task = await _until(client, await _send(client, "hi"), "succeeded", "failed")
    assert (task["state"], task["result"]["reply"]) == ("succeeded", "echo: hi")
    assert redis_server.client(2).pubsub_channels() == []

    def left() -> list[bytes]:
        return [key for key in redis_server.client(1).keys("*low*") if "_kombu" not in str(key)]

    assert await asyncio.to_thread(lambda: eventually(lambda: not left()))


@pytest.mark.asyncio
async def test_killed_task_is_settled(
    client: httpx.AsyncClient,
    worker_process: subprocess.Popen[bytes],
    vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A task whose process is killed ends as failed for its user, and the worker goes on."""
    monkeypatch.setattr("app.services.tasks._SUSPICIOUS_AFTER", timedelta(0))
    vendor.delay = 10
    url = await _send(client, "first")
    await _until(client, url, "running")
    os.kill(children(worker_process.pid)[0], signal.SIGKILL)
    task = await _until(client, url, "failed")
    assert "WorkerLostError" in task["error"]
    vendor.delay = 0
    assert (await _until(client, await _send(client, "second"), "succeeded"))["result"]["reply"] == "echo: second"


@pytest.mark.asyncio
async def test_worker_outlives_broker(
    client: httpx.AsyncClient,
    worker_process: subprocess.Popen[bytes],
    redis_server: RedisServer,
    vendor: Vendor,
) -> None:
    """When the broker goes away in the middle of a task, the task ends well and the worker takes the next one."""
    vendor.delay = 1.0
    url = await _send(client, "first")
    await _until(client, url, "running")
    redis_server.stop()
    await asyncio.sleep(0.5)
    redis_server.start()
    assert (await _until(client, url, "succeeded"))["result"]["reply"] == "echo: first"
    vendor.delay = 0
    assert (await _until(client, await _send(client, "second"), "succeeded"))["result"]["reply"] == "echo: second"
    assert worker_process.poll() is None


def test_lost_channel_is_connection_error(redis_server: RedisServer) -> None:
    """Acknowledging on a channel whose connection is gone is a connection error, which does not end a worker."""
    connection = celery_app.connection_for_read()
    channel = connection.channel()
    lost = connection.connection_errors
    connection.release()
    channel.connection = type("Gone", (), {"client": None})()
    with pytest.raises(lost), channel.conn_or_acquire():
        pass
