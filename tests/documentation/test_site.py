"""The site: it builds without a warning, asks nobody else for anything, and works where it is opened from a file."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser

import telemetry
from tests.documentation.blocks import ROOT
from tests.support.browser import chromium, looking

REQUESTS = {"script": "src", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a browser loads for a page, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        given = dict(attrs)
        if tag in REQUESTS:
            self.loaded.append(given.get(REQUESTS[tag]) or "")
        if tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload"}:
            self.loaded.append(given.get("href") or "")
        if tag == "a":
            self.links.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make docs` builds it."""
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of this module."""
    with chromium() as started:
        yield started


def test_every_page_is_there(site: Path) -> None:
    """Every page of `docs/` is one of the site, in its navigation, and so are the pages of the repository that they lead to."""
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert {"index.html", "tutorial.html", "runbooks/QueueBacklog.html"} <= pages
    assert pages <= {path.relative_to(site).as_posix() for path in site.glob("**/*.html")}
    assert {"CONTRIBUTING.html", "CHANGELOG.html"} <= {path.name for path in (site / "repository").glob("*.html")}
    front = Page((site / "index.html").read_text()).links
    assert pages <= set(front)


def test_no_page_is_left_over(site: Path) -> None:
    """Neither modules nor stored results that live beside the pages are in the site."""
    assert not [path for path in site.glob("**/*") if path.suffix in {".py", ".lock"}]
    assert not list(site.glob("*/rows.json"))


def test_links_lead_somewhere(site: Path) -> None:
    """Every link between pages leads to a file of the site, those to files of the repository included."""
    for path in site.glob("**/*.html"):
        if path.name == "404.html":
            continue
        for link in Page(path.read_text()).links:
            target = link.partition("#")[0]
            assert not target or "://" in target or (path.parent / target).exists(), f"{path}: {link}"


def test_nobody_else_is_asked(site: Path) -> None:
    """No page and no style sheet loads anything from another host."""
    for path in site.glob("**/*.html"):
        assert not [address for address in Page(path.read_text()).loaded if "//" in address], path
    for path in site.glob("**/*.css"):
        assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", path.read_text()), path


def test_public_functions_are_documented(site: Path) -> None:
    """Every public name of the package is on the page of functions."""
    there = set(re.findall(r'id="telemetry\.(\w+)"', (site / "api.html").read_text()))
    assert set(telemetry.__all__) - {"__version__"} <= there


def test_lists_nest_as_on_github(site: Path) -> None:
    """What two or three spaces make part of a list's item stays in it: numbers go on after a block of code."""
    page = (site / "collectors.html").read_text()
    assert page.count("<ol>") == 1


def test_search_works_from_a_file(site: Path, browser: Browser) -> None:
    """Opened from a file, the search finds a runbook by the words of its name, and nothing complains."""
    with looking(browser, (site / "index.html").as_uri()) as looked:
        looked.page.keyboard.press("/")
        looked.page.keyboard.type("queue backlog")
        looked.page.wait_for_selector(".md-search-result__item")
        first = looked.page.locator(".md-search-result__item a").first
        assert "QueueBacklog" in first.inner_text()
        first.click()
        looked.page.wait_for_url("**/QueueBacklog.html*")
        assert looked.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_scheme_follows_the_system(site: Path, browser: Browser, scheme: str) -> None:
    """A system in dark mode gets the dark page, and the button changes it."""
    with looking(browser, (site / "index.html").as_uri(), color_scheme=scheme) as looked:
        chosen = "document.body.getAttribute('data-md-color-scheme')"
        names = {"light": "default", "dark": "slate"}
        assert looked.page.evaluate(chosen) == names[scheme]
        looked.page.locator("label[for^=__palette]:visible").click()
        assert looked.page.evaluate(chosen) == names["dark" if scheme == "light" else "light"]


def test_hooks_before_a_commit_are_those_of_make_check() -> None:
    """Each hook of pre-commit runs a line of `make check`, or its repairing twin, with programs that are here."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    makefile = (ROOT / "Makefile").read_text()
    check = makefile[makefile.index("\ncheck:") : makefile.index("\nformat:")]
    for hook in hooks[0]["hooks"]:
        words = hook["entry"].replace("env PYTHONPATH=. .venv/bin/python", "$(PYTHON)").split()
        plain = [word for word in words if word not in {"--force-exclude", "-w"}]
        assert " ".join(plain[:2] if plain[0].endswith("ruff") else plain) in check, hook["id"]
