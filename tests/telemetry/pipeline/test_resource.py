"""Who a process says it is."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from telemetry import Settings
from telemetry.pipeline import resource
from telemetry.pipeline.resource import build_resource


@pytest.fixture(autouse=True)
def _detect_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
    resource._detected.cache_clear()
    yield
    resource._detected.cache_clear()


def _attributes(environment: str = "prod") -> dict[str, object]:
    return dict(build_resource(Settings(service_name="chat", environment=environment)).attributes)


def test_settings_are_in_the_resource() -> None:
    """Service and environment are those of the settings."""
    attributes = _attributes("stage")
    assert (attributes["service.name"], attributes["deployment.environment.name"]) == ("chat", "stage")


def test_namespace_is_the_settings() -> None:
    """A namespace of the settings is in the resource, and none where there is none."""
    attributes = build_resource(Settings(service_name="chat", service_namespace="shop")).attributes
    assert attributes["service.namespace"] == "shop"
    assert "service.namespace" not in _attributes()


def test_two_processes_never_share_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity names host and process, and differs even where a process id is used again."""
    first, second = _attributes()["service.instance.id"], _attributes()["service.instance.id"]
    assert first != second
    assert f"-{os.getpid()}-" in str(first)


def test_given_identity_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance id set by the user is the identity, decoded; other attributes stay."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=web%2D1,team=chat")
    attributes = _attributes()
    assert (attributes["service.instance.id"], attributes["team"]) == ("web-1", "chat")


def test_child_appends_its_process_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a forked child a given identity is followed by the child's process id."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=web-1")
    monkeypatch.setattr(resource, "FIRST_PROCESS", -1)
    assert _attributes()["service.instance.id"] == f"web-1.{os.getpid()}"


def test_process_detector_shows_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process detector is on, a forked child does not show the process id of its parent."""
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process")
    detected = resource._detected()
    assert "process.pid" in detected.attributes
    monkeypatch.setattr(os, "getpid", lambda: 4242)
    assert _attributes()["process.pid"] == 4242
