"""Runs in the process that imports an application: ``python -m telemetry.cli.doctor.inside module:attribute``.

Its last line of standard output is what ``application.py`` reads; what the application prints goes to standard error.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

_ATTRIBUTES = ("app", "application", "api", "celery", "celery_app")


def examined(target: str) -> dict[str, Any]:
    """What ``application.Application`` is made of."""
    module, _, attribute = target.partition(":")
    try:
        loaded = importlib.import_module(module)
    except BaseException as error:
        return {"failure": "import", "says": "".join(traceback.format_exception_only(error)).strip()}
    try:
        app = _found(loaded, attribute)
    except AttributeError as error:
        return {"failure": "attribute", "says": str(error)}
    return _told(app, target)


def _found(module: Any, path: str) -> Any:
    """The attribute, a factory called; without a name, the first one that applications usually have.

    Raises:
        AttributeError: If there is none.
    """
    names = [path] if path else [name for name in _ATTRIBUTES if hasattr(module, name)]
    if not names:
        raise AttributeError(f"module {module.__name__!r} has none of {', '.join(_ATTRIBUTES)}")
    found = module
    for name in names[0].removesuffix("()").split("."):
        found = getattr(found, name)
    return found() if names[0].endswith("()") else found


def _told(app: Any, target: str) -> dict[str, Any]:
    from telemetry import process

    parts = list(_parts(app, target))
    routes, excluded = _routes(app)
    return {
        "is_configured": process.current.configured is not None,
        "measured": _by_domain(parts, is_measured=True),
        "unmeasured": _by_domain(parts, is_measured=False),
        "routes": routes,
        "excluded": excluded,
        "broken": _broken(),
    }


def _broken() -> list[str]:
    """What hooks rely on in the libraries that are loaded, and these do not have."""
    from telemetry.compatibility import rooms

    asked = rooms(is_asked=sys.modules.__contains__)
    return [
        f"{assumption.owner} has no {assumption.attribute} ({', '.join(room.libraries)})"
        for room in asked
        for assumption in room.broken()
    ]


def _by_domain(parts: list[tuple[str, str, bool]], *, is_measured: bool) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for domain, name, measured in parts:
        if measured is is_measured:
            named.setdefault(domain, []).append(name)
    return named


def _parts(app: Any, target: str) -> Iterator[tuple[str, str, bool]]:
    """Domain and name of everything that could be measured, and whether it is."""
    if hasattr(app, "routes"):
        from telemetry.instrumentation.fastapi.application import handle_of

        yield "http", f"{type(app).__name__} {target}", handle_of(app) is not None
    yield from _celery()
    yield from _engines()


def _celery() -> Iterator[tuple[str, str, bool]]:
    if "celery.app.base" not in sys.modules:
        return
    from telemetry.instrumentation.celery.application import handle_of

    for app in _alive(sys.modules["celery.app.base"].Celery):
        if app is not sys.modules["celery._state"].default_app:
            yield "celery", f"Celery {app.main or '(without a name)'}", handle_of(app) is not None


def _engines() -> Iterator[tuple[str, str, bool]]:
    if "sqlalchemy.engine.base" not in sys.modules:
        return
    from telemetry.instrumentation.sqlalchemy.engine import handle_of

    for engine in _alive(sys.modules["sqlalchemy.engine.base"].Engine):
        yield "database", f"engine {engine.url.render_as_string()}", handle_of(engine) is not None


def _alive(kind: type[Any]) -> list[Any]:
    return [each for each in gc.get_objects() if type(each).__mro__ and issubclass(type(each), kind)]


def _routes(app: Any) -> tuple[int, int]:
    """How many routes it has, and of how many no request is counted."""
    if not hasattr(app, "routes"):
        return 0, 0
    from telemetry.instrumentation.fastapi.application import excluded_of
    from telemetry.instrumentation.fastapi.matching import declared_routes
    from telemetry.process import get

    library = "fastapi" if hasattr(app, "openapi_url") else "starlette"
    exclusions = excluded_of(app) + get().settings.exclusions_of(library)
    root, own = str(getattr(app, "root_path", "")), _documentation(app)
    routes = [route for route in declared_routes(app) if route.endpoint and route.endpoint not in own]
    covered = [
        all(
            exclusions.cover_route(method, str(route.endpoint), root)
            for method in (route.methods - {"HEAD", "OPTIONS"} or {None})
        )
        for route in routes
    ]
    return len(covered), sum(covered)


def _documentation(app: Any) -> set[str]:
    names = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")
    return {str(getattr(app, name, None)) for name in names}


def _instrumented() -> None:
    """Do what ``opentelemetry-instrument`` does before a program begins."""
    from opentelemetry.instrumentation.auto_instrumentation import initialize

    initialize()


def main(target: str, write: Callable[[str], object]) -> None:
    """Examine an application and tell."""
    if os.environ.get("TELEMETRY_DOCTOR_INSTRUMENTS"):
        _instrumented()
    write("\n" + json.dumps(examined(target)))


if __name__ == "__main__":
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the application prints is no answer
    main(sys.argv[1], answer.write)
    answer.flush()
    os._exit(0)  # whatever threads the application has begun
