"""The fenced blocks of the documentation, with where they stand; nothing here runs them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELL = frozenset({"sh", "bash", "shell", "console"})
_FENCE = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes:
        page: The file, from the repository's root.
        number: Among the blocks of the page that are commands, from 1; 0 for any other block.
        language: Its first word; empty where it has none.
        title: The name of the file that it is, or nothing.
        text: Without the indentation of the list it stands in.
    """

    page: str
    number: int
    language: str
    title: str
    text: str

    @property
    def name(self) -> str:
        """How tables and messages name it."""
        return f"{self.page}#{self.number}"


def pages() -> list[str]:
    """Every page for users."""
    folders = ("docs", "examples", "collector", "deploy")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.md")]
    return ["README.md", "CONTRIBUTING.md", *sorted(path.relative_to(ROOT).as_posix() for path in found)]


def blocks(page: str) -> Iterator[Block]:
    """Those of one page, in order."""
    number = 0
    for match in _FENCE.finditer((ROOT / page).read_text()):
        language, title = match[2], _TITLE.search(match[3])
        number += language in SHELL
        yield Block(
            page, number if language in SHELL else 0, language, title[1] if title else "", textwrap.dedent(match[4])
        )


def commands() -> list[Block]:
    """Every block of commands of every page."""
    return [block for page in pages() for block in blocks(page) if block.language in SHELL]
