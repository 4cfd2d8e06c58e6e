"""Turns every error into a JSON body without a stack trace and counts it once; what errors mean is in `app.faults`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import telemetry
from app.faults import FOREIGN_ERRORS, AppError, Fault, classify

log = logging.getLogger(__name__)

_UNEXPECTED = Fault("InternalError", "Something went wrong on our side; it has been logged.", 500)


def body(fault: Fault) -> dict[str, dict[str, str]]:
    """Return what a client is told of a fault."""
    return {"error": {"type": fault.kind, "message": fault.message}}


def report(error: Exception) -> Fault:
    """Count an error that a client will be told of, and return what to tell."""
    fault = classify(error)
    if fault is None:
        log.exception("unexpected error", exc_info=error)
        telemetry.get().errors.occurred(error, component="http")
        return _UNEXPECTED
    if fault.component is not None:
        telemetry.get().errors.occurred(fault.kind, component=fault.component)
    if fault.status >= 500:
        log.warning("%s: %s", fault.kind, error.__cause__ or error)
    return fault


def _response(fault: Fault, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body(fault), fault.status, dict(headers or fault.headers))


async def _known(_request: Request, error: Exception) -> JSONResponse:
    return _response(report(error))


async def _http(_request: Request, error: Exception) -> JSONResponse:
    """Answer what Starlette itself refuses: no such path, method not allowed; these are no errors of ours."""
    assert isinstance(error, HTTPException)
    return _response(Fault("HttpError", str(error.detail), error.status_code), error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _response(report(AppError(_input_fault(request, error))))


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    """Answer an exception nobody handled; Starlette raises it again afterwards, so telemetry and the log have it."""
    return _response(_UNEXPECTED)


def _input_fault(request: Request, error: RequestValidationError) -> Fault:
    """Say in one sentence what is wrong with a request's input."""
    first: dict[str, Any] = error.errors()[0]
    kinds = {"json_invalid": "MalformedJson", "unknown_plan": "UnknownPlan"}
    kind = kinds.get(first["type"], "InvalidInput")
    if kind == "MalformedJson":
        reason = first.get("ctx", {}).get("error", "it cannot be parsed")
        return Fault(kind, f"The body is not valid JSON: {reason}.", 422, "http")
    content_type = request.headers.get("content-type", "").partition(";")[0]
    if first["loc"] == ("body",) and content_type not in {"application/json", "multipart/form-data"}:
        return Fault(kind, "Send the body as JSON with 'Content-Type: application/json'.", 422, "http")
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return Fault(kind, f"{where or 'body'}: {first['msg']}.", 422, "http")


def install(app: FastAPI) -> None:
    """Let `app` answer every error this way."""
    app.add_exception_handler(AppError, _known)
    for kind in FOREIGN_ERRORS:
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)
