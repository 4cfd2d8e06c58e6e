"""Where pages of runbooks are: below an address, or at one that has a place for a page's name."""

from __future__ import annotations

import re

RUNBOOKS = "http://localhost:8100/runbooks"
"""Where links to runbooks lead unless told otherwise: the front door of the example fleet."""
PLACE = "{name}"
"""What stands for the name of an alert in an address."""
VARIABLE = "VAR_RUNBOOKS"
"""What shipped dashboards begin their links with; Grafana asks for it at an import."""

_LINK = re.compile(rf"({re.escape(RUNBOOKS)}|\$\{{{VARIABLE}\}})/([^\s/()\x22']+)\.md")


def page(address: str, name: str) -> str:
    """Where an alert's page is: in the place for its name, or `NAME.md` below an address without one."""
    return address.replace(PLACE, name) if PLACE in address else f"{address.rstrip('/')}/{name}.md"


def led_to(address: str, text: str) -> str:
    """A text of this package whose links to runbooks lead to another address."""
    begin, _, end = page(address, PLACE).partition(PLACE)
    folder = begin.removesuffix("/")
    between = begin.removeprefix(folder)

    def linked(found: re.Match[str]) -> str:
        start = folder if found[1] == RUNBOOKS else found[1]
        return f"{start}{between}{found[2]}{end}"

    return _LINK.sub(linked, text).replace(RUNBOOKS, folder)
