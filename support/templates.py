"""Templates of configuration files: a name that is not given is an error, and nothing is escaped as HTML."""

from __future__ import annotations

from pathlib import Path

import jinja2


def engine(folder: Path) -> jinja2.Environment:
    """Renders the templates of a folder."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # configuration files, not HTML
    )
