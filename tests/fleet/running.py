"""A whole fleet for the length of a block, with environment variables that only its processes see."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from deploy.fleet import Fleet
from deploy.settings import FleetSettings


@contextmanager
def running_fleet(
    settings: FleetSettings, environment: Mapping[str, str], only: Iterable[str] | None = None
) -> Iterator[Fleet]:
    """A fleet that is ended with the block.

    Args:
        settings: Its settings.
        environment: More variables for its processes.
        only: Stages to start instead of all.
    """
    before = dict(os.environ)
    os.environ.update(environment)
    fleet = Fleet(settings)
    try:
        fleet.up(only)
        yield fleet
    finally:
        fleet.down()
        os.environ.clear()
        os.environ.update(before)
