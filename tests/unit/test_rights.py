"""The one table of rights, and the API's own description of itself."""

from __future__ import annotations

import pytest

from scheduler.api.openapi import document, path_of
from scheduler.api.operations import operations_of
from scheduler.api.routes import ROUTES
from scheduler.app import make_app
from scheduler.assembly import assemble
from scheduler.domain.rights import GRANTS, MACHINES, Right, Role, may, sees_all
from scheduler.settings import ShopSettings

OPEN = {
    ("get", "/v1/health"),
    ("get", "/v1/openapi.json"),
    ("get", "/v1/image-keys"),
    ("post", "/v1/tokens"),
    ("delete", "/v1/tokens"),
    ("post", "/v1/tokens/refresh"),
    ("post", "/v1/enrolments/redemptions"),
    ("post", "/auth/rabbitmq/user"),
    ("post", "/auth/rabbitmq/vhost"),
    ("post", "/auth/rabbitmq/resource"),
    ("post", "/auth/rabbitmq/topic"),
}
"""Routes that need no token: they give one, take one back, or tell nothing of the shop."""


def test_every_role_is_in_the_table_and_every_right_is_somebody_s() -> None:
    assert set(GRANTS) == set(Role)
    assert frozenset().union(*GRANTS.values()) == frozenset(Right)


def test_a_machine_has_one_right_of_its_own_at_most() -> None:
    for role in MACHINES:
        assert len(GRANTS[role] - {Right.KNOW_SELF}) <= 1, role


def test_only_workers_claim_tasks_and_only_the_warehouse_asks_about_tokens() -> None:
    assert {role for role in Role if may(role, Right.CLAIM_TASKS)} == {Role.CREATOR, Role.WRITER}
    assert {role for role in Role if may(role, Right.CHECK_WAREHOUSE_TOKENS)} == {Role.WAREHOUSE}


def test_only_an_admin_manages_accounts() -> None:
    assert {role for role in Role if may(role, Right.MANAGE_USERS)} == {Role.ADMIN}


def test_a_client_sees_what_is_theirs_only() -> None:
    assert not sees_all(Role.CLIENT)
    assert not any(sees_all(role) for role in MACHINES)


def test_only_the_listed_routes_are_open_to_everyone() -> None:
    found = {
        (method, path_of(url))
        for resource, url in ROUTES
        for method, described in operations_of(resource).items()
        if described.right is None
    }

    assert found == OPEN


def test_the_openapi_document_equals_the_routes() -> None:
    settings = ShopSettings(mongo_uri="mongodb://127.0.0.1:1", secret_key="k" * 32)
    app = make_app(assemble(settings))

    served = {
        (method.lower(), path_of(rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    described = {(method, path) for path, methods in document(ROUTES)["paths"].items() for method in methods}
    assert described == served


@pytest.mark.parametrize("secret", ["wifi_password", "password", "password_hash"])
def test_no_answer_s_schema_has_a_field_for_a_secret(secret: str) -> None:
    schemas = document(ROUTES)["components"]["schemas"]

    answers = {
        name
        for resource, _ in ROUTES
        for described in operations_of(resource).values()
        if described.answer
        for name in reachable(schemas, described.answer.__name__)
    }

    assert not [name for name in answers if secret in schemas[name].get("properties", {})]


def reachable(schemas: dict[str, dict[str, object]], name: str) -> set[str]:
    """A schema's name, and those of all that it refers to."""
    found: set[str] = set()
    waiting = [each for each in schemas if each == name or each.startswith(f"{name.partition('[')[0]}_")]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            text = str(schemas[each])
            waiting += [other for other in schemas if f"'#/components/schemas/{other}'" in text]
    return found
