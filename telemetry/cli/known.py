"""The catalogue that the command line knows: ours, and the modules that variables and installed distributions name."""

from __future__ import annotations

import os
from functools import cache

from telemetry.catalogue import BUILT_IN, Catalogue
from telemetry.catalogue.loading import including, of_entry_points
from telemetry.settings import variables
from telemetry.settings.reader import Reader


@cache
def known() -> Catalogue:
    """Every metric; modules that cannot be loaded are left out, which ``configure()`` says in the service's log."""
    named = [(name, variables.CATALOGUE.name) for name in Reader(os.environ).read(variables.CATALOGUE)]
    return including(BUILT_IN, [*named, *of_entry_points()])[0]
