"""A release: what it has, and that whoever builds it anew gets the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def release(into: Path, *parts: str, **variables: str) -> dict[str, str]:
    """The checksum of each file of a release of the last commit."""
    done = subprocess.run(
        [ROOT / "deploy" / "release" / "build.sh", into, *parts],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in into.iterdir()}


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """What is built within seconds."""
    directory = tmp_path_factory.mktemp("release")
    return directory, release(directory, "python", "contexts")


def test_packages_are_the_same_bytes(light: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """Wheel, sdist and contexts are the same at another path, in another time zone and language, under another umask."""
    _, first = light
    assert {f"fleet_telemetry-{VERSION}.tar.gz", f"fleet_telemetry-{VERSION}-py3-none-any.whl"} <= first.keys()
    again = release(
        tmp_path / "a longer path", "python", "contexts", TZ="Asia/Kathmandu", LC_ALL="C.UTF-8", HOME=str(tmp_path)
    )
    assert again == first


def test_checksums_are_those_of_the_files(light: tuple[Path, dict[str, str]]) -> None:
    """SHA256SUMS has every other file, and `sha256sum --check` says that it is right."""
    directory, files = light
    named = dict(line.split(maxsplit=1)[::-1] for line in (directory / "SHA256SUMS").read_text().splitlines())
    assert named == {name: digest for name, digest in files.items() if name != "SHA256SUMS"}


def test_nothing_uncommitted_is_released(light: tuple[Path, dict[str, str]]) -> None:
    """The sdist has files of the last commit alone."""
    directory, _ = light
    committed = set(
        subprocess.check_output(["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=ROOT, text=True).splitlines()
    )
    with tarfile.open(directory / f"fleet_telemetry-{VERSION}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names - committed <= {"PKG-INFO"}


def test_every_dockerfile_has_its_context(light: tuple[Path, dict[str, str]]) -> None:
    """Each image can be built from a file of the release: its Dockerfile is at the top of it."""
    directory, files = light
    tracked = subprocess.check_output(["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=ROOT, text=True).splitlines()
    contexts = [name for name in files if name.startswith("context-")]
    assert len(contexts) == len([path for path in tracked if Path(path).name == "Dockerfile"])
    for name in contexts:
        with tarfile.open(directory / name) as archive:
            assert "./Dockerfile" in archive.getnames()


def test_versions_are_one() -> None:
    """The package, the collector that it asks for, the collector's wheel and the changelog have one version."""
    wheel = tomllib.loads((ROOT / "collector" / "wheel" / "pyproject.toml").read_text())["project"]["version"]
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["collector"][0]
    assert wheel == VERSION
    assert extra.startswith(f"fleet-telemetry-collector=={VERSION};")
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", VERSION]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_whole_release_is_the_same_bytes(tmp_path: Path) -> None:
    """Collectors, their wheels and the bills of materials are the same, too, at another path."""
    first = release(tmp_path / "first")
    assert {
        "otelcol-linux-amd64",
        "otelcol-linux-arm64",
        "otelcol-linux-amd64.cdx.json",
        "requirements.cdx.json",
    } <= first.keys()
    bill = json.loads((tmp_path / "first" / "otelcol-linux-amd64.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert len(bill["components"]) > 100
    again = release(tmp_path / "a longer path", TZ="Asia/Kathmandu")
    assert again == first
