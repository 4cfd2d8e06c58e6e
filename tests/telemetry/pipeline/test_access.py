"""The Prometheus endpoint of a process for readers with a certificate and a token alone."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.ports import free_port
from support.waiting import eventually
from telemetry import Settings
from telemetry.pipeline.prometheus import wsgi_app
from telemetry.settings.readers import Readers
from telemetry.setup import Telemetry
from tests.support import access, chat
from tests.support.access import SCRAPE_TOKEN, WRONG_TOKEN, Keys


@contextmanager
def served(tmp_path: Path, readers: Readers) -> Iterator[tuple[Telemetry, str]]:
    """A process with an endpoint, and the address of that."""
    port = free_port()
    settings = Settings(
        exporters=("prometheus",),
        prometheus_host="127.0.0.1",
        prometheus_port=port,
        state_dir=tmp_path / "boxes",
        export_interval=0.1,
        readers=readers,
    )
    process = Telemetry(settings, catalogue=chat.CHAT)
    chat.of(process).message_sent(plan="free")
    try:
        yield process, f"https://127.0.0.1:{port}/metrics"
    finally:
        process.shutdown()


def read(url: str, context: ssl.SSLContext, token: str = SCRAPE_TOKEN) -> httpx.Response:
    """What a reader gets."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.get(url, headers=headers, verify=context, trust_env=False)


def test_only_readers_are_let_in(tmp_path: Path) -> None:
    """With certificate and token a reader gets the page; without one of them, or without TLS, nobody does."""
    keys, strangers = Keys(tmp_path), Keys(tmp_path, "strangers")
    certificate, key = keys.issue("endpoint")
    own, other = keys.issue("reader"), strangers.issue("stranger")
    readers = Readers(certificate, key, keys.authority, access.tokens(tmp_path)["readers"])
    with served(tmp_path, readers) as (_, url):
        assert "messages_sent_total" in read(url, keys.context(*own)).text
        for token in ("", WRONG_TOKEN):
            answer = read(url, keys.context(*own), token)
            assert answer.status_code == httpx.codes.UNAUTHORIZED
            assert "messages_sent_total" not in answer.text
        for context in (keys.context(), keys.context(*other), strangers.context(*own)):
            with pytest.raises(httpx.HTTPError):
                read(url, context)
        with pytest.raises(httpx.HTTPError):
            httpx.get(url.replace("https:", "http:"), trust_env=False)


def test_silent_client_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A client that connects and says nothing keeps no reader from its page."""
    import socket

    keys = Keys(tmp_path)
    with served(tmp_path, Readers(*keys.issue("endpoint"))) as (_, url):
        port = int(url.split(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port)):
            assert read(url, keys.context(), "").status_code == httpx.codes.OK


def test_files_are_renewed(tmp_path: Path) -> None:
    """A certificate and tokens that are written anew hold without a restart, and so do those before a broken file."""
    keys = Keys(tmp_path)
    file = access.tokens(tmp_path)["readers"]
    certificate, key = keys.issue("endpoint", days=-1)
    with served(tmp_path, Readers(certificate, key, None, file)) as (_, url):
        with pytest.raises(httpx.ConnectError, match="expired"):
            read(url, keys.context())
        keys.issue("endpoint")
        assert eventually(lambda: read(url, keys.context()).status_code == httpx.codes.OK)
        access.replace(certificate, b"no certificate")
        assert read(url, keys.context()).status_code == httpx.codes.OK
        access.replace(file, b"# readers\nnew-token of the second Prometheus\n\n")
        assert read(url, keys.context(), "new-token").status_code == httpx.codes.OK
        assert read(url, keys.context()).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize("wrong", ["no certificate", "no key", "no authority", "only an authority"])
def test_unusable_files_open_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: str) -> None:
    """Where certificates cannot be used nothing is shown without them: one line says which file, and a repaired one opens."""
    keys = Keys(tmp_path)
    certificate, key = keys.issue("endpoint")
    missing = tmp_path / "missing"
    readers, setting = {
        "no certificate": (Readers(missing, key), "CERTIFICATE"),
        "no key": (Readers(certificate, missing), "CERTIFICATE"),
        "no authority": (Readers(certificate, key, missing), "CLIENT_CA"),
        "only an authority": (Readers(client_authority=keys.authority), "CLIENT_CA"),
    }[wrong]
    with caplog.at_level(logging.ERROR), served(tmp_path, readers) as (process, url):
        process.force_flush(1.0)
        for scheme in ("https", "http"):
            with pytest.raises(httpx.ConnectError):
                httpx.get(url.replace("https", scheme), verify=keys.context(), trust_env=False)
        assert f"TELEMETRY_PROMETHEUS_TLS_{setting}=" in caplog.text
        assert len(caplog.records) == 1
        if wrong == "no key":
            access.replace(missing, key.read_bytes())
            assert eventually(lambda: _answers(url, keys.context()))


def _answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return read(url, context).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def test_mounted_page_wants_the_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A route in the application wants the token, too; where it cannot be read nobody is let in, and the log says so once."""
    file = tmp_path / "tokens"
    with served(tmp_path, Readers(token_file=file)) as (process, _):
        app = httpx.Client(transport=httpx.WSGITransport(wsgi_app(process.pipeline.endpoint)))  # type: ignore[arg-type]
        for _ in range(2):
            assert app.get("http://app/metrics").status_code == httpx.codes.SERVICE_UNAVAILABLE
        file.write_text("\n")
        assert app.get("http://app/metrics").status_code == httpx.codes.SERVICE_UNAVAILABLE
        file.write_text(f"{SCRAPE_TOKEN}\n")
        assert app.get("http://app/metrics").status_code == httpx.codes.UNAUTHORIZED
        answer = app.get("http://app/metrics", headers={"authorization": f"bearer {SCRAPE_TOKEN}"})
        assert "messages_sent_total" in answer.text
    assert len([r for r in caplog.records if "TELEMETRY_PROMETHEUS_TOKEN_FILE" in r.getMessage()]) == 1
