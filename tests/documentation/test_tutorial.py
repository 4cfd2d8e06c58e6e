"""The tutorial, as its page has it: its files, its commands, and what it shows under them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.documentation.blocks import SHELL, Block, blocks
from tests.documentation.sandbox import Sandbox
from tests.documentation.shown import missing

PAGE = "docs/tutorial.md"
_PATIENCE = 360  # seconds: an alert that waits two minutes, evaluated once a minute, on a busy machine


def script(page: list[Block], directory: Path) -> str:
    """The page as one script; files are written where they stand in it.

    Args:
        page: Its blocks.
        directory: For blocks that are repeated, and files; it is made.
    """
    directory.mkdir()
    lines = []
    for number, (block, following) in enumerate(zip(page, [*page[1:], None], strict=True)):
        place = directory / str(number)
        if block.title:
            place.write_text(block.text)
            lines.append(f"cp {place} {block.title}\n")
        elif block.language in SHELL and following and following.language == "text":
            place.with_suffix(".sh").write_text(block.text)
            place.with_suffix(".expected").write_text(following.text)
            lines.append(f"shown {place}\n")
        elif block.language in SHELL:
            lines.append(block.text)
    return "".join(lines)


def test_tutorial_is_complete() -> None:
    """Every block of the tutorial is a command, what a command shows, or a file with its name; and the files are Python."""
    page = list(blocks(PAGE))
    for block, before in zip(page, [None, *page[:-1]], strict=True):
        if block.language == "text":
            assert before is not None
            assert before.language in SHELL, block.text
        elif block.language not in SHELL:
            assert block.title.endswith(".py"), block.text
            compile(block.text, block.title, "exec")


@pytest.mark.parametrize(
    ("page", "printed", "left"),
    [("a …, c", "a b, c\nd", []), ("a\nb", "a", ["b"]), ('…"x"…', '{"x":1}', []), ("a", "a b", ["a"])],
    ids=["wildcard", "missing-line", "inside", "whole-lines"],
)
def test_shown_lines(page: str, printed: str, left: list[str]) -> None:
    """A page's line stands for a whole line of the output, `…` for any text in it."""
    assert missing(page, printed) == left


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_tutorial_leads_to_an_alert(sandbox: Sandbox, tmp_path: Path) -> None:
    """From an empty directory and the wheel, the tutorial's own commands lead to the alert that it promises."""
    assert shutil.which("redis-server")
    project = tmp_path / "project"
    project.mkdir()
    sandbox.run(script(list(blocks(PAGE)), tmp_path / "blocks"), project, patience=_PATIENCE)
    assert (project / "shop" / "monitoring" / "grafana" / "alerts" / "guide.yaml").exists()
