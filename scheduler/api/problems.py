"""Errors as problem documents (RFC 9457), with the code, hint and field of the error tree."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Response, json
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from cardshop.contract.errors import (
    CardshopError,
    InvalidInput,
    NotAuthenticated,
    TooManyRequests,
    Unavailable,
)
from scheduler.store.database import DatabaseError

log = structlog.get_logger(__name__)

TYPE_PREFIX = "urn:cardshop:problem:"
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "2"

_HTTP_CODES = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "request-too-large",
    415: "not-json",
}


def problem_answer(error: Exception) -> Response:
    """The answer for any error that left a route. What is not ours is logged, and told without details."""
    if isinstance(error, HTTPException):
        return _http_problem(error)
    known = error if isinstance(error, CardshopError) else _as_ours(error)
    answer = _answer(
        status=known.status, code=known.code, detail=known.sentence, hint=known.hint, field=known.field
    )
    if isinstance(known, NotAuthenticated):
        answer.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(known, TooManyRequests | Unavailable):
        answer.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return answer


def invalid_input(error: ValidationError) -> InvalidInput:
    """The first thing that a schema found wrong; its ``field`` is the path into the document."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ""
    for step in first["loc"]:
        field += f"[{step}]" if isinstance(step, int) else f".{step}" if field else str(step)
    if first["type"] == "extra_forbidden":
        return InvalidInput(f"There is no field {field}.", hint="See /v1/openapi.json.", field=field)
    if first["type"] == "missing":
        return InvalidInput(f"The field {field} is missing.", field=field)
    if first["type"] == "value_error":
        return InvalidInput(first["msg"].removeprefix("Value error, "), field=field)
    return InvalidInput(f"{field or 'The document'}: {first['msg']}.", field=field)


def _as_ours(error: Exception) -> CardshopError:
    if isinstance(error, DatabaseError):
        log.error("the database failed", error=type(error).__name__, detail=str(error)[:300])
        return Unavailable("The database does not answer.", hint="Try again.")
    log.error("a request failed", exc_info=error)
    return CardshopError("The scheduler has a fault; it is in its log.")


def _http_problem(error: HTTPException) -> Response:
    status = error.code or 500
    answer = _answer(
        status=status,
        code=_HTTP_CODES.get(status, "http-error"),
        detail=error.description or HTTP_STATUS_CODES.get(status, ""),
    )
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            answer.headers[name] = value
    return answer


def _answer(*, status: int, code: str, detail: str, hint: str = "", field: str = "") -> Response:
    problem: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": HTTP_STATUS_CODES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
        "field": field,
    }
    return Response(json.dumps(problem), status=status, mimetype=MEDIA_TYPE)
