"""Who may read the metrics at the front door: the real NGINX, with nothing behind it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy import render
from deploy.settings import FleetSettings, SettingsError
from support.ports import is_free
from support.processes import program
from support.waiting import eventually

READ, CLOSED = httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.FORBIDDEN  # read: if there were a collector


@contextmanager
def front_door(directory: Path, **overrides: tuple[str, ...]) -> Iterator[str]:
    """NGINX as the fleet's; its page of metrics."""
    settings = FleetSettings.isolated(directory, **overrides)
    render.make_directories(settings)
    render.write(render.render(settings, []))
    command = [program(settings.nginx), "-e", "stderr", "-c", str(settings.conf / "nginx.conf")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        page = settings.url("NGINX_PORT", "/metrics")
        assert eventually(lambda: not is_free(settings.nginx_port))
        yield page
    finally:
        process.terminate()
        process.wait()


def asked(page: str, **headers: str) -> int:
    """The status of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(page, headers=named, trust_env=False).status_code


def test_loopback_reads_and_no_one_behind_it(tmp_path: Path) -> None:
    """By default this machine reads; who comes by a proxy that nobody has named does not, wherever that stands."""
    with front_door(tmp_path) as page:
        assert asked(page) == READ
        for header in (
            {"X_Forwarded_For": "127.0.0.1"},
            {"X_Forwarded_For": "8.8.8.8"},
            {"Forwarded": "for=127.0.0.1"},
        ):
            assert asked(page, **header) == CLOSED
        assert asked(page.replace("/metrics", "/_series/totals")) == httpx.codes.NOT_FOUND


def test_networks_are_set(tmp_path: Path) -> None:
    """Only the networks that are set read; behind a proxy that is named, the client's own address decides."""
    with front_door(tmp_path / "a", metrics_networks=("10.1.0.0/16",)) as page:
        assert asked(page) == CLOSED
    with front_door(tmp_path / "b", metrics_networks=("10.1.0.0/16",), trusted_proxies=("127.0.0.1/32",)) as page:
        assert asked(page, X_Forwarded_For="10.1.2.3") == READ
        for claimed in ("8.8.8.8", "10.1.2.3, 8.8.8.8", "10.2.0.1", ""):
            assert asked(page, X_Forwarded_For=claimed) == CLOSED
        assert asked(page) == CLOSED


def test_wrong_networks_are_named() -> None:
    """What is no network is said with the setting and an example."""
    with pytest.raises(SettingsError, match=r"METRICS_NETWORKS=everybody has what is no network: set it to"):
        FleetSettings.from_environ({"METRICS_NETWORKS": "everybody"})
    settings = FleetSettings.from_environ({"METRICS_NETWORKS": "127.0.0.1, fd00::/8", "TRUSTED_PROXIES": ""})
    assert settings.metrics_networks == ("127.0.0.1/32", "fd00::/8")
