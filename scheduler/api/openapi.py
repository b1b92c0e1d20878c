"""The OpenAPI 3.1 document, made from the routes' own descriptions, so that it can't say otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from scheduler.api.operations import Operation, Resource, operations_of

Routes = Sequence[tuple[type[Resource], str]]

REFERENCE = "#/components/schemas/{model}"

_PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "hint", "field"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "a sentence for a person"},
        "code": {"type": "string", "description": "stable name of the error"},
        "hint": {"type": "string", "description": "what to do"},
        "field": {"type": "string", "description": "path of the value that is wrong, e.g. contents[2]"},
    },
}


def document(routes: Routes) -> dict[str, Any]:
    """The document that ``/v1/openapi.json`` serves."""
    schemas, references = _schemas(routes)
    paths: dict[str, Any] = {}
    for resource, url in routes:
        for method, described in operations_of(resource).items():
            paths.setdefault(path_of(url), {})[method] = _operation(
                method, resource.__name__, url, described, references
            )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cardshop scheduler",
            "version": "1",
            "description": "Orders of offline-content hotspots turned into verified, bootable microSD cards.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM, **schemas},
            "securitySchemes": {
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def path_of(url: str) -> str:
    """Flask's ``/users/<username>`` as OpenAPI's ``/users/{username}``."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", url)


def _schemas(routes: Routes) -> tuple[dict[str, Any], dict[Any, Any]]:
    pairs: list[tuple[type[BaseModel], Any]] = []
    for resource, _ in routes:
        for described in operations_of(resource).values():
            pairs += [(schema, "validation") for schema in (described.body, described.query) if schema]
            pairs += [(described.answer, "serialization")] if described.answer else []
    unique = list(dict.fromkeys(pairs))
    references, definitions = models_json_schema(unique, ref_template=REFERENCE)
    return definitions.get("$defs", {}), dict(references)


def _operation(
    method: str, noun: str, url: str, described: Operation, references: dict[Any, Any]
) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done."}
    if described.form:
        answer["content"] = {"text/plain": {"schema": {"type": "string", "enum": ["allow", "deny"]}}}
    elif described.answer:
        answer["content"] = {"application/json": {"schema": references[(described.answer, "serialization")]}}
    problem = {
        "description": "A problem document.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    told: dict[str, Any] = {
        "operationId": f"{method}{noun}",
        "summary": described.summary,
        "parameters": [*_path_parameters(url), *_query_parameters(described.query)],
        "responses": {str(described.status): answer, "default": problem},
        "security": [{"accessToken": []}] if described.right else [],
    }
    if described.right:
        told["description"] = f"Needs the right `{described.right}`."
    if described.body:
        media_type = "application/x-www-form-urlencoded" if described.form else "application/json"
        schema = references[(described.body, "validation")]
        told["requestBody"] = {"required": True, "content": {media_type: {"schema": schema}}}
    return told


def _path_parameters(url: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path_of(url))
    ]


def _query_parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = query.model_json_schema(ref_template=REFERENCE)
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": described}
        for name, described in schema["properties"].items()
    ]
