"""Which processes of a host are added up together, and how what a collector has of the dead stays on the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from telemetry.box.box import SHOWN, Box
from telemetry.box.host import Host
from telemetry.pipeline.transport import LOCAL

Labels = tuple[tuple[str, str], ...]


def resource_labels(process: Mapping[str, Any]) -> Labels:
    """The labels that everything has that a process counted: its environment, and its namespace where it has one."""
    resource = process.get("resource", {})
    environment = str(resource.get("deployment.environment.name") or "dev")
    namespace = str(resource.get("service.namespace") or "")
    return ("environment", environment), *([("service_namespace", namespace)] if namespace else [])


def group_of(process: Mapping[str, Any]) -> str | None:
    """Which processes are added up together; ``None`` for one that no endpoint shows."""
    if process.get("target") != LOCAL and not process.get(SHOWN):
        return None
    return "\0".join(value for _, value in resource_labels(process))


def keeper(directory: Path) -> Callable[[list[Box]], None]:
    """What adds up boxes of dead processes that the collector has, and an endpoint shows.

    Args:
        directory: Where boxes are kept.
    """
    return Host(directory, group_of).keep
