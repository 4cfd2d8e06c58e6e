"""A whole backend for each test: real Redis, real SQLite, real Celery messages, real telemetry; a vendor on command."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import redis
from alembic import command
from alembic.config import Config
from fastapi import FastAPI

import telemetry
from app.db import sync_engine
from app.factory import create_app
from app.llm import chat_vendor, media_vendor
from app.redis_clients import sync_redis
from app.settings import get_settings, load_settings
from app.storage import storage
from support.ports import free_port
from support.waiting import eventually
from telemetry import testing
from tests.app.fake_vendor import Vendor, make_app
from tests.app.queue_tools import Queues
from tests.support.server import serving
from worker.celery_app import celery_app, results_at

ROOT = Path(__file__).parents[2]
ADMIN = {"X-Admin-Token": "the-admin-token"}


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark by which a test changes settings."""
    config.addinivalue_line("markers", "settings(**environment): environment variables of the backend under test")


class RedisServer:
    """A real redis-server that a test may stop and start."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: int) -> str:
        """Return the URL of one of its databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def client(self, database: int = 0) -> redis.Redis:
        """Return a client of one of its databases."""
        return redis.Redis.from_url(self.url(database))

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._process is not None:
            return
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", *arguments, "--dir", str(self._directory)], stdout=subprocess.DEVNULL
        )
        assert eventually(self._answers), "the Redis under test did not start"

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.ConnectionError:
            return False


@pytest.fixture(scope="session")
def _redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def redis_server(_redis_process: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """A running, empty Redis that Celery uses too."""
    _redis_process.start()
    _redis_process.client().flushall()
    # Celery reads these two from the environment each time, before its own configuration.
    monkeypatch.setenv("CELERY_BROKER_URL", _redis_process.url(1))
    monkeypatch.setenv("CELERY_RESULT_BACKEND", _redis_process.url(2))
    monkeypatch.setattr(celery_app, "backend_cls", results_at(_redis_process.url(2)))
    return _redis_process


@pytest.fixture(scope="session")
def _vendor_process() -> Iterator[tuple[Vendor, str]]:
    vendor = Vendor()
    with serving(make_app(vendor)) as address:
        yield vendor, f"http://{address}"


@pytest.fixture
def vendor(_vendor_process: tuple[Vendor, str]) -> Vendor:
    """The vendor, well-behaved until the test says otherwise."""
    _vendor_process[0].reset()
    return _vendor_process[0]


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("migrated") / "chat.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"sqlite:///{database}")
        command.upgrade(Config(ROOT / "app" / "alembic.ini"), "head")
    return database


@pytest.fixture
def database(tmp_path: Path, _migrated: Path) -> Path:
    """The test's own migrated database file, in a directory of its own."""
    directory = tmp_path / "database"
    directory.mkdir()
    return Path(shutil.copy(_migrated, directory / "chat.db"))


@contextmanager
def down(database: Path) -> Iterator[None]:
    """A database file that nobody can open, nor make anew, for the length of a block."""
    hidden = database.parent.rename(database.parent.with_name("hidden"))
    yield
    hidden.rename(database.parent)


@pytest.fixture
def environment(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    database: Path,
    redis_server: RedisServer,
    vendor: Vendor,
    _vendor_process: tuple[Vendor, str],
) -> Iterator[pytest.MonkeyPatch]:
    """The environment variables of a fleet, and those of the test's `settings` mark."""
    mark = request.node.get_closest_marker("settings")
    settings = {
        "DATABASE_URL": f"sqlite:///{database}",
        "STORAGE_URL": f"file://{tmp_path / 'storage'}",
        "REDIS_URL": redis_server.url(0),
        "OPENAI_BASE_URL": f"{_vendor_process[1]}/v1",
        "OPENAI_API_KEY": "sk-test",
        "ANTHROPIC_BASE_URL": _vendor_process[1],
        "ANTHROPIC_API_KEY": "sk-ant-test",
        "ADMIN_TOKEN": ADMIN["X-Admin-Token"],
        "TASK_RETRY_BACKOFF_SECONDS": "0.01",
        "LLM_TIMEOUT_SECONDS": "20",
        "FACTS_INTERVAL_SECONDS": "600",
    }
    for name, value in (settings | (dict(mark.kwargs) if mark else {})).items():
        monkeypatch.setenv(name, value)
    _forget_process_objects()
    yield monkeypatch
    telemetry.instrument_celery(celery_app).close()  # or it reads the broker of a test that is over
    _forget_process_objects()


def _forget_process_objects() -> None:
    get_settings.cache_clear()
    for made in (sync_engine, sync_redis, storage, chat_vendor, media_vendor):
        made.forget()


class Counts:
    """What telemetry has counted in this test."""

    def __init__(self, captured: testing.Captured) -> None:
        self._captured = captured

    def of(self, name: str, **labels: str) -> float:
        """Return the sum of the series of a metric that carry these labels."""
        return self._captured.total(name, **labels)

    def errors(self) -> dict[tuple[str, str], float]:
        """Return every error counted, by component and type."""
        return {(s["component"], s["error_type"]): value for s, value in self.series("errors_total") if value}

    def series(self, name: str) -> list[tuple[dict[str, Any], float]]:
        """Return the series of a metric."""
        return [(dict(labels), value) for labels, value in self._captured.series(name, zeros=True).items()]


@pytest.fixture
def counts() -> Iterator[Counts]:
    """Real telemetry of this test alone."""
    with testing.captured() as captured:
        yield Counts(captured)


@pytest_asyncio.fixture
async def backend(environment: pytest.MonkeyPatch, counts: Counts) -> AsyncIterator[FastAPI]:
    """The running app."""
    app = create_app(load_settings())
    async with app.router.lifespan_context(app):
        yield app


@pytest_asyncio.fixture
async def client(backend: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app; exceptions become the responses that real clients see."""
    transport = httpx.ASGITransport(app=backend, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


@pytest.fixture
def queues(redis_server: RedisServer) -> Queues:
    """The broker's queues, and a way to work them off."""
    return Queues(celery_app)


@pytest.fixture
def new_user(client: httpx.AsyncClient) -> Callable[[str], Any]:
    """Create users; gives the headers that make requests theirs."""

    async def create(plan: str) -> dict[str, str]:
        response = await client.post("/api/v1/users", json={"name": "someone", "plan": plan}, headers=ADMIN)
        assert response.status_code == 201, response.text
        return {"X-API-Key": response.json()["api_key"]}

    return create
