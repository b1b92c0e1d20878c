"""Every route of the OpenAPI document: answered right, and refused where it must be.

The document itself is the list: a new route without a good call in :mod:`tests.api_calls` fails here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.api.openapi import document, path_of
from scheduler.api.operations import operations_of
from scheduler.api.routes import ROUTES
from scheduler.domain.rights import GRANTS, Right, Role
from tests.api import Answer, new_api, published_library, read_catalogue
from tests.api_calls import GOOD, Call, World
from tests.real_services import RealMongod

DOCUMENT = document(ROUTES)
ROUTE_LIST = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
RIGHTS = {
    (method, path_of(url)): described.right
    for resource, url in ROUTES
    for method, described in operations_of(resource).items()
}
GUARDED = [route for route in ROUTE_LIST if RIGHTS[route]]
PROBLEM = DOCUMENT["components"]["schemas"]["Problem"]

every_route = pytest.mark.parametrize(("method", "path"), ROUTE_LIST)
every_guarded_route = pytest.mark.parametrize(("method", "path"), GUARDED)


@pytest.fixture(scope="module")
def world(mongod: RealMongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = new_api(mongod.uri)
    with published_library(tmp_path_factory.mktemp("library")) as library:
        yield World(api, "local", read_catalogue(api, library.feed_url)[0])


def described(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def send(world: World, method: str, path: str, call: Call, *, who: str | None) -> Answer:
    content = described(method, path).get("requestBody", {}).get("content", {})
    form = "application/x-www-form-urlencoded" in content
    more = {"data": call.body} if form else {}
    body = None if form else call.body
    return world.api.call(
        method.upper(), path.format(**call.path), body, who=who, query_string=call.query, **more
    )


def one_with(right: Right | None) -> str | None:
    """An account with the right, an admin where possible; None where no right is needed."""
    return next((role.value for role in Role if right in GRANTS[role]), None)


def dummy(path: str) -> str:
    """The path, of things that don't exist."""
    return path.replace("{", "").replace("}", "")


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.body["code"]) == (status, code), answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.body) == set(PROBLEM["required"])
    assert answer.body["detail"]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if not reference:
        return schema
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][reference.rsplit("/", 1)[1]]
    return found


def body_schema(method: str, path: str) -> dict[str, Any] | None:
    for content in described(method, path).get("requestBody", {}).get("content", {}).values():
        return resolved(content["schema"])
    return None


def takes_any_text(schema: dict[str, Any]) -> bool:
    choices = [resolved(choice) for choice in schema.get("anyOf", [schema])]
    return any(choice.get("type") == "string" and "enum" not in choice for choice in choices)


# RabbitMQ's forms have texts only, and grow with its versions.
DOCUMENTED_BODIES = [
    (method, path)
    for method, path in ROUTE_LIST
    if body_schema(method, path) and not path.startswith("/auth/rabbitmq/")
]
FIELDS = [
    (method, path, name)
    for method, path in DOCUMENTED_BODIES
    for name in (body_schema(method, path) or {})["properties"]
]
REQUIRED = [
    (method, path, name)
    for method, path in ROUTE_LIST
    for schema in [body_schema(method, path)]
    if schema
    for name in schema.get("required", [])
]
QUERY_FIELDS = [
    (method, path, parameter["name"])
    for method, path in ROUTE_LIST
    for parameter in described(method, path)["parameters"]
    if parameter["in"] == "query" and not takes_any_text(parameter["schema"])
]


def test_each_route_has_a_good_call() -> None:
    assert sorted(GOOD) == sorted(ROUTE_LIST)


def test_each_reference_of_the_document_leads_somewhere() -> None:
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)))

    assert references
    assert references <= set(DOCUMENT["components"]["schemas"])
    assert "$defs" not in json.dumps(DOCUMENT)


@every_route
def test_a_good_call_is_answered_as_the_document_says(world: World, method: str, path: str) -> None:
    right = RIGHTS[method, path]
    answer = send(world, method, path, GOOD[method, path](world), who=one_with(right))

    status, documented = next(iter(described(method, path)["responses"].items()))
    assert answer.status == int(status), answer
    content = documented.get("content", {})
    if "application/json" in content:
        assert unlike(answer.body, content["application/json"]["schema"]) == []
    elif "text/plain" in content:
        assert answer.body in content["text/plain"]["schema"]["enum"]


@every_guarded_route
def test_without_a_token_nothing_is_told(world: World, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer not-a-token"}):
        answer = world.api.call(method.upper(), dummy(path), who=None, headers=headers)

        assert_problem(answer, 401, "not-authenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@every_guarded_route
def test_a_role_without_the_right_is_refused(world: World, method: str, path: str) -> None:
    right = RIGHTS[method, path]
    for role in Role:
        if right not in GRANTS[role]:
            answer = world.api.call(method.upper(), dummy(path), who=role.value)

            assert_problem(answer, 403, "not-allowed")
            assert str(right) in answer.body["detail"]


@pytest.mark.parametrize(("method", "path", "name"), FIELDS)
def test_a_value_of_a_wrong_kind_is_told_with_its_field(
    world: World, method: str, path: str, name: str
) -> None:
    call = GOOD[method, path](world)
    wrong = {**(call.body or {}), name: [{"not": "this"}]}

    answer = send(world, method, path, Call(call.path, wrong, call.query), who=one_with(RIGHTS[method, path]))

    assert_problem(answer, 422, "invalid-input")
    assert answer.body["field"].split(".")[0].split("[")[0] == name


@pytest.mark.parametrize(("method", "path", "name"), REQUIRED)
def test_a_value_that_is_missing_is_told_with_its_field(
    world: World, method: str, path: str, name: str
) -> None:
    call = GOOD[method, path](world)
    less = {key: value for key, value in (call.body or {}).items() if key != name}

    answer = send(world, method, path, Call(call.path, less, call.query), who=one_with(RIGHTS[method, path]))

    assert_problem(answer, 422, "invalid-input")
    assert answer.body["field"] == name


@pytest.mark.parametrize(("method", "path"), DOCUMENTED_BODIES)
def test_a_field_that_nobody_knows_is_told(world: World, method: str, path: str) -> None:
    call = GOOD[method, path](world)
    more = {**(call.body or {}), "surprise": 1}

    answer = send(world, method, path, Call(call.path, more, call.query), who=one_with(RIGHTS[method, path]))

    assert_problem(answer, 422, "invalid-input")
    assert answer.body["field"] == "surprise"


@pytest.mark.parametrize(("method", "path", "name"), QUERY_FIELDS)
def test_a_wrong_word_in_the_address_is_told_with_its_name(
    world: World, method: str, path: str, name: str
) -> None:
    call = GOOD[method, path](world)
    query = {**call.query, name: "surprise"}

    answer = send(world, method, path, Call(call.path, call.body, query), who=one_with(RIGHTS[method, path]))

    assert_problem(answer, 422, "invalid-input")
    assert answer.body["field"] == name


@pytest.mark.parametrize(("method", "path"), [route for route in GUARDED if "{" in route[1]])
def test_what_does_not_exist_is_not_found(world: World, method: str, path: str) -> None:
    call = GOOD[method, path](world)
    missing = dict.fromkeys(call.path, "missing")

    answer = send(
        world, method, path, Call(missing, call.body, call.query), who=one_with(RIGHTS[method, path])
    )

    assert_problem(answer, 404, "not-found")


def unlike(value: Any, schema: dict[str, Any], where: str = "answer") -> list[str]:
    """Where a value differs from its schema: kinds, fields that are missing or not documented, words."""
    schema = resolved(schema)
    if "anyOf" in schema:
        found = [unlike(value, choice, where) for choice in schema["anyOf"]]
        return min(found, key=len)
    if "enum" in schema or "const" in schema:
        allowed = schema.get("enum", [schema.get("const")])
        return [] if value in allowed else [f"{where} is {value!r}, not one of {allowed}"]
    kinds: dict[str, Any] = {
        "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None),
        "array": list, "object": dict,
    }  # fmt: skip
    kind = schema.get("type")
    if kind and not isinstance(value, kinds[kind]):
        return [f"{where} is {value!r}, not of type {kind}"]
    if kind == "array":
        items = schema.get("items", {})
        return [each for i, item in enumerate(value) for each in unlike(item, items, f"{where}[{i}]")]
    if "properties" not in schema:
        return []
    told, known = set(value), schema["properties"]
    wrong = [f"{where}.{name} is not documented" for name in told - set(known)]
    wrong += [f"{where}.{name} is missing" for name in set(schema.get("required", [])) - told]
    return wrong + [
        each for name in told & set(known) for each in unlike(value[name], known[name], f"{where}.{name}")
    ]
