"""Who this process is: service, environment and an instance identity that survives a fork recognisably."""

from __future__ import annotations

import os
import secrets
import socket

from opentelemetry.sdk.resources import Resource

from telemetry.pipeline.settings import Settings

INSTANCE = "service.instance.id"
FIRST_PROCESS = os.getpid()


def build_resource(settings: Settings) -> Resource:
    """The resource of the calling process; a forked child gets an identity of its own.

    An instance id set by the user (``OTEL_RESOURCE_ATTRIBUTES``) is kept; a forked child appends its process id.
    """
    given = _given_instance()
    child = os.getpid() != FIRST_PROCESS
    if given:
        instance = f"{given}.{os.getpid()}" if child else given
    else:
        instance = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    return Resource.create(
        {
            "service.name": settings.service_name,
            "deployment.environment.name": settings.environment,
            INSTANCE: instance,
        }
    )


def _given_instance() -> str | None:
    for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == INSTANCE and value.strip():
            return value.strip()
    return None
