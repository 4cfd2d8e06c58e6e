"""What the backend says of itself in `/openapi.json`, and that it answers as it says there."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.factory import create_app
from app.routes import ROUTERS
from app.settings import load_settings
from tests.app.conftest import ADMIN, Counts
from tests.support.server import serving

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
OPERATIONS = sorted((route.path, method) for route in _ROUTES for method in route.methods)
_BOUNDED = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def address(environment: pytest.MonkeyPatch, counts: Counts) -> Iterator[str]:
    """Where the backend is served."""
    with serving(create_app(load_settings())) as served:
        yield f"http://{served}"


def test_every_route_is_described(address: str) -> None:
    """Each route of the backend is an operation of `/openapi.json`, with a success among its answers."""
    paths = httpx.get(f"{address}/openapi.json").json()["paths"]
    assert sorted((path, method.upper()) for path, methods in paths.items() for method in methods) == OPERATIONS
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert any(status.startswith("2") for status in operation["responses"]), (method, path)


@pytest.mark.parametrize("path", ["/docs", "/docs/static/swagger-ui-bundle.js", "/docs/static/swagger-ui.css"])
def test_docs_need_no_internet(address: str, path: str) -> None:
    """The page of the API and all it is drawn with come from the backend itself."""
    answer = httpx.get(f"{address}{path}")
    assert answer.status_code == 200
    assert path != "/docs" or "//" not in answer.text.replace("//www.w3.org", "")


def _own_things(address: str, headers: dict[str, str]) -> dict[str, str]:
    """Ids of things that the user has."""
    with httpx.Client(base_url=f"{address}/api/v1", headers=headers) as client:
        sent = client.post("/chat/conversations", json={"message": "hi"}).json()
        stored = client.post("/files", files={"file": ("a.txt", b"text", "text/plain")}).json()
    return {"conversation_id": sent["conversation"]["id"], "task_id": sent["task_id"], "file_id": stored["id"]}


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda part: part)
def test_answers_as_described(address: str, path: str, method: str) -> None:
    """Whatever is sent, an operation answers with a status, type and body that it describes, and never with a 5xx."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operation = schema[path][method]
    made = httpx.post(f"{address}/api/v1/users", json={"name": "someone", "plan": "enterprise"}, headers=ADMIN)
    headers = {"X-API-Key": made.json()["api_key"], **ADMIN}
    own = _own_things(address, headers)

    @_BOUNDED
    @given(case=operation.as_strategy(GenerationMode.POSITIVE))
    def own_things(case: schemathesis.Case) -> None:
        case.path_parameters = {name: own[name] for name in case.path_parameters or {}}
        case.call_and_validate(headers=headers, checks=_CHECKS)

    @_BOUNDED
    @given(case=operation.as_strategy(GenerationMode.NEGATIVE) | operation.as_strategy(GenerationMode.POSITIVE))
    def anything(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers, checks=_CHECKS)

    own_things()
    anything()
