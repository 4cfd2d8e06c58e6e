"""Programs that are there already, or that come from an official release: what `make install` takes before it builds anything."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.settings import ROOT

INSTALL = ROOT / "deploy" / "install"
VERSION = "9.9.9"


def _archive(folder: str, programs: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in programs.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode = len(text), 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a server on this machine offers it."""
    folder = tmp_path_factory.mktemp("site")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def _bash(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    sources = "".join(f"source {INSTALL / name}.sh\n" for name in ("progress", "releases", "programs"))
    environment = {"PATH": "/usr/bin:/bin", "ROOT": str(ROOT), **variables}
    return subprocess.run(
        ["bash", "-c", f"set -u\n{sources}{script}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _platform() -> str:
    return _bash("platform", VENV="", CACHE="").stdout


def _table(tmp_path: Path, sum_: str, address: str) -> str:
    table = tmp_path / "releases.txt"
    table.write_text(f"# comment\nprometheus {VERSION} {_platform()} {sum_} {address}\n")
    return str(table)


def _fetched(tmp_path: Path, table: str) -> subprocess.CompletedProcess[str]:
    return _bash(f"fetch_release prometheus {tmp_path} prometheus promtool", RELEASES=table, VENV="", CACHE="")


def test_release_is_unpacked(site: tuple[Path, str], tmp_path: Path) -> None:
    """A release with the right checksum brings its programs, ready to run."""
    folder, url = site
    content = _archive(
        "prometheus-9.9.9", {"prometheus": "#!/bin/sh\necho it runs\n", "promtool": "#!/bin/sh\n", "LICENSE": ""}
    )
    (folder / "right.tar.gz").write_bytes(content)
    done = _fetched(tmp_path, _table(tmp_path, hashlib.sha256(content).hexdigest(), f"{url}/right.tar.gz"))
    assert done.returncode == 0, done.stderr
    assert subprocess.run([tmp_path / "prometheus"], capture_output=True, text=True, check=True).stdout == "it runs\n"
    assert (tmp_path / "promtool").exists()
    assert not (tmp_path / "LICENSE").exists()


def test_wrong_checksum_is_not_used(site: tuple[Path, str], tmp_path: Path) -> None:
    """What has another checksum than the pinned one is thrown away, with a sentence."""
    folder, url = site
    (folder / "wrong.tar.gz").write_bytes(_archive("p", {"prometheus": "", "promtool": ""}))
    done = _fetched(tmp_path, _table(tmp_path, "0" * 64, f"{url}/wrong.tar.gz"))
    assert done.returncode == 1
    assert f"{url}/wrong.tar.gz is not what deploy/install/releases.txt expects" in done.stdout
    assert not (tmp_path / "prometheus").exists()


@pytest.mark.parametrize("address", ["{url}/missing.tar.gz", "http://127.0.0.1:9/nobody.tar.gz"])
def test_unreachable_release_is_built_instead(site: tuple[Path, str], tmp_path: Path, address: str) -> None:
    """Where a release cannot be fetched, that is said and is no error: the caller builds."""
    done = _fetched(tmp_path, _table(tmp_path, "0" * 64, address.format(url=site[1])))
    assert done.returncode == 1
    assert "it is built instead" in done.stdout


def test_nothing_is_fetched_without_a_pin(tmp_path: Path) -> None:
    """A program of another platform, or without a line, is not fetched at all."""
    table = tmp_path / "releases.txt"
    table.write_text("prometheus 9.9.9 plan9-mips 0 http://127.0.0.1:9/\n")
    done = _fetched(tmp_path, str(table))
    assert (done.returncode, done.stdout) == (1, "")


def test_pins_come_from_published_checksums(site: tuple[Path, str], tmp_path: Path) -> None:
    """`make pin-releases` writes a line for each platform that has an archive, by the versions that would be built."""
    folder, url = site
    for program, version in (("prometheus", "3.16.0"), ("alertmanager", "0.31.1")):
        release = folder / program / "releases" / "download" / f"v{version}"
        release.mkdir(parents=True)
        sums = [
            f"{'a' * 64}  {program}-{version}.linux-amd64.tar.gz",
            f"{'b' * 64}  {program}-{version}.windows-amd64.zip",
        ]
        (release / "sha256sums.txt").write_text("\n".join(sums))
    table = tmp_path / "releases.txt"
    environment = {"PATH": "/usr/bin:/bin", "RELEASES_OF": url, "TABLE": str(table)}
    subprocess.run(["bash", str(INSTALL / "pin-releases.sh")], env=environment, check=True, timeout=60)
    lines = [line.split() for line in table.read_text().splitlines() if not line.startswith("#")]
    assert [line[:4] for line in lines] == [
        ["prometheus", "3.16.0", "linux-amd64", "a" * 64],
        ["alertmanager", "0.31.1", "linux-amd64", "a" * 64],
    ]
    assert lines[0][4] == f"{url}/prometheus/releases/download/v3.16.0/prometheus-3.16.0.linux-amd64.tar.gz"


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [("3.16.0", True), ("3.21.2", True), ("4.0.0", True), ("3.9.1", False), ("2.42.0+ds", False)],
)
def test_prometheus_on_path(tmp_path: Path, version: str, is_taken: bool) -> None:
    """A Prometheus on PATH is taken where it understands the dashboards' queries, and promtool is beside it."""
    for name in ("prometheus", "promtool"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho 'prometheus, version {version} (branch: HEAD)'\n")
        (tmp_path / name).chmod(0o755)
    done = _bash("prometheus_on_path", PATH=f"{tmp_path}:/usr/bin:/bin", VENV="/none", CACHE="")
    assert (done.returncode == 0) is is_taken
