"""Command lines of programs that need a container engine or a cluster, read as those programs read them; nothing is started."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.documentation.blocks import ROOT, blocks, pages

_READER = Path(__file__).parent / "commands"
_ALWAYS = {"--help": False, "-h": False}


class UnknownError(ValueError):
    """The program has no such command or flag; the message names it."""


@dataclass(frozen=True)
class Program:
    """A program by the source of its commands.

    Attributes:
        words: What a line begins with.
        modules: Go modules at their version, and the folder in each that has commands or their flags.
        root: The function that makes the first command.
        is_global: Whether flags of the first command may stand after any other.
    """

    words: tuple[str, ...]
    modules: tuple[tuple[str, str], ...]
    root: str
    is_global: bool


COMPOSE = Program(
    ("docker", "compose"), (("github.com/docker/compose/v2@v2.40.3", "cmd/compose"),), "RootCommand", False
)
KUBECTL = Program(
    ("kubectl",),
    (("k8s.io/kubectl@v0.34.2", "pkg/cmd"), ("k8s.io/cli-runtime@v0.34.2", "pkg")),
    "NewKubectlCommand",
    True,
)


@dataclass
class Line:
    """A command line, read.

    Attributes:
        command: Its subcommands.
        flags: Each with its values.
        arguments: The rest.
    """

    command: list[str] = field(default_factory=list)
    flags: dict[str, list[str]] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)

    def of(self, *names: str) -> list[str]:
        """The values of a flag, by its names."""
        return [value for name in names for value in self.flags.get(name, [])]


@cache
def _commands(program: Program) -> dict[str, Any]:
    folders = []
    for module, folder in program.modules:
        done = subprocess.run(
            ["go", "mod", "download", "-json", module], cwd=_READER, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        folders.append(f"{json.loads(done.stdout)['Dir']}/{folder}")
    done = subprocess.run(["go", "run", ".", *folders], cwd=_READER, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def read(program: Program, text: str) -> Line:
    """A line, without the program's own words.

    Raises:
        UnknownError: If the program would not take it.
    """
    commands, line = _commands(program), Line()
    first = current = commands[program.root]
    words = iter(shlex.split(text))
    for word in words:
        if word.startswith("-"):
            flags = {**(first["flags"] if program.is_global else {}), **current["flags"], **_ALWAYS}
            _read_flag(word, words, flags, line)
            continue
        below = {commands[name]["name"]: commands[name] for name in current["commands"]}
        if below and word not in below:
            raise UnknownError(f"{' '.join([*program.words, *line.command])} has no command {word}")
        if below:
            current = below[word]
            line.command.append(word)
        else:
            line.arguments.append(word)
    return line


def _read_flag(word: str, words: Iterator[str], flags: dict[str, bool], line: Line) -> None:
    name, equals, value = word.partition("=")
    if name not in flags:
        raise UnknownError(f"{' '.join(line.command)} has no flag {name}")
    if flags[name] and not equals:
        value = next(words, "")
        if not value:
            raise UnknownError(f"{name} has no value")
    line.flags.setdefault(name, []).append(value)


def lines(program: Program) -> list[tuple[str, str, str]]:
    """Page, variables before it and what follows the program's words, for each line of a block and each `line` of a text."""
    start = rf"((?:[A-Z_]+=\S+ )*){' '.join(program.words)} "
    found = []
    for page in pages():
        for block in blocks(page):
            text = block.text.replace("\\\n", " ")
            found += [(page, *match) for match in re.findall(rf"^{start}(.*)$", text, re.MULTILINE)]
        found += [(page, *match) for match in re.findall(rf"`{start}([^`]*)`", (ROOT / page).read_text())]
    return found
