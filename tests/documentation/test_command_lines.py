"""Commands for a container engine and a cluster: the programs have them and their flags, and what they name is there."""

from __future__ import annotations

import os
import re
import shutil

import pytest
import yaml

from tests.deploy.kubernetes.cluster import DOCUMENTED, Cluster, clusters
from tests.documentation.blocks import ROOT, commands
from tests.documentation.command_lines import COMPOSE, KUBECTL, Program, UnknownError, lines, read

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go, as the build of the collector does")

FILE = ROOT / "deploy" / "compose.yaml"
SECURE = ROOT / "deploy" / "compose.secure.yaml"


def _cluster(namespace: str) -> Cluster:
    """The overlay that makes a namespace."""
    return next(made for made in clusters().values() if namespace in made.of("Namespace"))


@pytest.mark.parametrize(("program", "least"), [(COMPOSE, 2), (KUBECTL, 5)], ids=["docker compose", "kubectl"])
def test_commands_and_flags_are_known(program: Program, least: int) -> None:
    """Each line of the documentation is one that the program takes, by the source of its commands."""
    found = lines(program)
    assert len(found) >= least
    for _page, _variables, text in found:
        read(program, text)


@pytest.mark.parametrize(
    ("program", "text", "what"),
    [
        (COMPOSE, "-f deploy/compose.yaml upp", "upp"),
        (COMPOSE, "up -f deploy/compose.yaml", "-f"),
        (COMPOSE, "up --scales app=5", "--scales"),
        (KUBECTL, "aply -k deploy", "aply"),
        (KUBECTL, "apply --from-env-file x", "--from-env-file"),
        (KUBECTL, "create secret general fleet", "general"),
        (KUBECTL, "apply -k", "-k"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_unknown_ones_are_told(program: Program, text: str, what: str) -> None:
    """A command or a flag that the program does not have is an error that names it, so the test above means something."""
    with pytest.raises(UnknownError, match=re.escape(what)):
        read(program, text)


def test_compose_lines_name_what_is_there() -> None:
    """Files, services and variables of `docker compose` lines are those of compose.yaml, and of what is laid over it."""
    text = FILE.read_text()
    services = yaml.safe_load(text)["services"]
    for page, variables, words in lines(COMPOSE):
        line = read(COMPOSE, words)
        for file in line.of("-f", "--file"):
            assert ROOT / file in {FILE, SECURE}, page
        assert {scaled.partition("=")[0] for scaled in line.of("--scale")} <= services.keys(), page
        assert set(line.arguments) <= services.keys(), page
        for variable in re.findall(r"([A-Z_]+)=", variables):
            assert f"${{{variable}" in text, page


def test_cluster_lines_name_what_is_there() -> None:
    """Kustomizations, namespaces, Services, ports and Secrets of `kubectl` lines are those of deploy/kubernetes."""
    for page, _variables, words in lines(KUBECTL):
        line = read(KUBECTL, words)
        for folder in line.of("-k", "--kustomize"):
            assert (ROOT / folder / "kustomization.yaml").is_file(), page
        made = [_cluster(namespace) for namespace in line.of("-n", "--namespace")]
        if line.command == ["port-forward"]:
            service, *ports = line.arguments
            shown = made[0].of("Service")[service.removeprefix("service/")]["spec"]["ports"]
            assert {int(port.rpartition(":")[2]) for port in ports} <= {port["port"] for port in shown}, page
        if line.command == ["create", "secret", "generic"]:
            assert line.arguments[0] in DOCUMENTED, page


def test_scripts_beside_them_can_be_run() -> None:
    """A file of the repository that such a block runs is there, and may be run."""
    for block in commands():
        if "docker compose" in block.text or "kubectl" in block.text:
            for script in re.findall(r"^(deploy/\S+)", block.text, re.MULTILINE):
                assert os.access(ROOT / script, os.X_OK), block.name


def test_units_and_files_of_installations_are_there() -> None:
    """What a block puts in place for systemd is in the repository, and the units that it starts can be enabled."""
    installing = [block for block in commands() if "systemctl enable" in block.text]
    assert installing
    for block in installing:
        for sources in re.findall(r"install -m \d+ ([^\s\"$]+) ", block.text):
            assert list(ROOT.glob(sources)), (block.name, sources)
        for units in re.findall(r"systemctl enable --now (.*)", block.text):
            for unit in units.split():
                file = ROOT / "deploy" / "systemd" / f"{re.sub('@.*', '@', unit)}.service"
                assert "WantedBy=" in file.read_text(), (block.name, unit)
