"""The frame of every route: who asks, may they, is what they sent well formed, how is it answered.

A route is a method of a :class:`Resource`, decorated with :func:`operation`, which says all that there is to
say about it: the right that it needs, the schemas of what comes in and goes out. The OpenAPI document is
made from the same words.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flask_restful
from flask import Response, json, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from cardshop.contract.errors import InvalidInput, NotAllowed, NotAuthenticated
from scheduler.api.problems import invalid_input
from scheduler.api.services import Services
from scheduler.domain.rights import Right, may
from scheduler.shop.accounts import Caller

Method = Callable[..., Any]


@dataclass(frozen=True)
class Operation:
    """What a route is: the source of its checks and of its documentation."""

    summary: str
    right: Right | None  # None: open to everyone
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    answer: type[BaseModel] | None  # None: no content
    status: int
    form: bool  # the body comes as a form, the answer is text (RabbitMQ asks so)


class Resource(flask_restful.Resource):  # type: ignore[misc]  # flask-restful has no types
    """A noun of the API; holds what its routes work with."""

    def __init__(self, services: Services) -> None:
        self.services = services


def operation(
    summary: str,
    right: Right | None,
    *,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    answer: type[BaseModel] | None = None,
    status: int = 200,
    form: bool = False,
) -> Callable[[Method], Method]:
    """Makes a method a route.

    The method is called with the parts of the path, and with ``caller`` (if it asks), ``body`` and
    ``query`` (where given, checked). It returns a document of the schema ``answer``.
    """
    described = Operation(summary, right, body, query, answer, status, form)

    def decorate(method: Method) -> Method:
        asks_caller = "caller" in inspect.signature(method).parameters

        @functools.wraps(method)
        def route(resource: Resource, **path: str) -> Response:
            arguments: dict[str, Any] = dict(path)
            if right is not None:
                caller = _allowed_caller(resource.services, right)
                arguments.update({"caller": caller} if asks_caller else {})
            if body is not None:
                arguments["body"] = _read(body, request.form.to_dict() if form else _json_document())
            if query is not None:
                arguments["query"] = _read(query, request.args.to_dict())
            return _answer(method(resource, **arguments), described)

        route.operation = described  # type: ignore[attr-defined]  # read by operations_of
        return route

    return decorate


def operations_of(resource: type[Resource]) -> dict[str, Operation]:
    """A resource's routes by HTTP method, in lower case."""
    found = {}
    for name in ("get", "post", "put", "patch", "delete"):
        described = getattr(getattr(resource, name, None), "operation", None)
        if described is not None:
            found[name] = described
    return found


def _allowed_caller(services: Services, right: Right) -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated(
            "Show an access token.", hint="Authorization: Bearer ...; see POST /v1/tokens."
        )
    caller = services.accounts.authenticate(token)
    if not may(caller.role, right):
        raise NotAllowed(f"The role {caller.role} does not have the right {right}.")
    return caller


def _json_document() -> Any:
    if not request.get_data():
        return {}
    try:
        return request.get_json()
    except (BadRequest, UnsupportedMediaType) as error:
        raise InvalidInput(
            "The request has no JSON document.", hint="Content-Type: application/json"
        ) from error


def _read(schema: type[BaseModel], document: Any) -> BaseModel:
    try:
        return schema.model_validate(document)
    except ValidationError as error:
        raise invalid_input(error) from None


def _answer(result: Any, described: Operation) -> Response:
    if described.form:
        return Response(str(result), status=described.status, mimetype="text/plain")
    if isinstance(result, BaseModel):
        return Response(
            result.model_dump_json(by_alias=True), status=described.status, mimetype="application/json"
        )
    if result is None:
        return Response(status=described.status)
    return Response(json.dumps(result), status=described.status, mimetype="application/json")
