"""A hook of MkDocs: what the site has beyond the pages of ``docs/``, which read well in the repository, too.

* Files of the repository that pages link to become pages or files of the site, below ``repository/``.
* Names of pages in code spans become links.
* Runbooks, and pages that the navigation of ``mkdocs.yml`` does not name, are added to it.
* Flowcharts are drawn, and lists are read, as GitHub does.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from markdown import Extension, Markdown
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from docs.site.drawing import drawn

PREFIX = "repository"
_LINK = re.compile(r"(\]\()([^)#:\s]+)(?=[)#])")
_PAGE_NAME = re.compile(r"(?<![\[`])`(?:docs/)?([a-z0-9/-]+\.md)`(?!`)")
_FLOWCHART = re.compile(r"^```mermaid\nflowchart TD\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)


class ShortIndentation(Extension):
    """Two spaces make a paragraph part of a list's item, where Python-Markdown by itself wants four."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name is Python-Markdown's
        """Called once for each page, before what other extensions add; the parser reads the length when it is made."""
        md.tab_length = 2
        md.build_parser()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation."""
    config.markdown_extensions.insert(0, ShortIndentation())  # type: ignore[arg-type]  # as Python-Markdown takes it
    folder = Path(config.docs_dir)
    nav = config.nav or []
    named = set(_named(nav))
    pages = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.md"))
    runbooks = [page for page in pages if page.startswith("runbooks/")]
    _part(nav, "Runbooks").extend(runbooks)
    rest = (page for page in pages if page not in {*named, *runbooks})
    _part(_part(nav, "How-to guides"), "Run it").extend(rest)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the repository that pages lead to, and those that these lead to."""
    root = Path(config.docs_dir).parent
    waiting = [path for file in files.documentation_pages() for path in _outside(_source(file, root), root)]
    while waiting:
        path = waiting.pop()
        uri = f"{PREFIX}/{path}"
        if files.get_file_from_path(uri) is None:
            files.append(
                File.generated(config, uri, abs_src_path=str(root / path), inclusion=InclusionLevel.NOT_IN_NAV)
            )
            waiting.extend(_outside(root / path, root))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the site has them."""
    root = Path(config.docs_dir).parent
    source = _source(page.file, root)

    def moved(match: re.Match[str]) -> str:
        return f"{match[1]}{_in_site(match[2], source, page.file.src_uri, root)}"

    def named(match: re.Match[str]) -> str:
        if files.get_file_from_path(match[1]) is None or match[1] == page.file.src_uri:
            return match[0]
        return f"[{match[0]}]({_relative(match[1], page.file.src_uri)})"

    parts = _FENCE.split(_FLOWCHART.sub(lambda match: drawn(match[1]), markdown))
    parts[::2] = [_PAGE_NAME.sub(named, _LINK.sub(moved, part)) for part in parts[::2]]
    return "".join(parts)


def _named(nav: Any) -> Iterator[str]:
    """Every page of a part of the navigation."""
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from _named(part)


def _part(nav: Iterable[Any], title: str) -> list[Any]:
    parts: list[Any] = next(part[title] for part in nav if isinstance(part, dict) and title in part)
    return parts


def _source(file: File, root: Path) -> Path:
    """Where a page of the site is in the repository."""
    _, inside, path = file.src_uri.partition(f"{PREFIX}/")
    return root / path if inside else root / "docs" / file.src_uri


def _outside(source: Path, root: Path) -> list[str]:
    """The files of the repository, but not of the documentation, that a page links to."""
    if source.suffix != ".md":
        return []
    targets = (_target(match[2], source, root) for match in _LINK.finditer(source.read_text()))
    return sorted({path for path in targets if not path.startswith("docs/") and (root / path).is_file()})


def _target(link: str, source: Path, root: Path) -> str:
    """The file of the repository that a link of a page leads to."""
    return Path(os.path.normpath(source.parent / link)).relative_to(root).as_posix()


def _in_site(link: str, source: Path, uri: str, root: Path) -> str:
    """The same link from the same page, where the site has that file."""
    target = _target(link, source, root)
    return _relative(target.removeprefix("docs/") if target.startswith("docs/") else f"{PREFIX}/{target}", uri)


def _relative(target: str, uri: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(uri) or ".")
