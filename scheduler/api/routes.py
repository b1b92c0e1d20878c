"""Every route of the API, in one list."""

from __future__ import annotations

from typing import Any

from scheduler.api import health, openapi, rabbitmq, tokens, users
from scheduler.api.operations import Resource, operation

ROUTES: list[tuple[type[Resource], str]] = [
    (health.HealthItem, "/v1/health"),
    (tokens.TokenList, "/v1/tokens"),
    (tokens.TokenRefreshList, "/v1/tokens/refresh"),
    (users.Me, "/v1/me"),
    (users.UserList, "/v1/users"),
    (users.UserItem, "/v1/users/<username>"),
    (rabbitmq.BrokerUser, "/auth/rabbitmq/user"),
    (rabbitmq.BrokerVhost, "/auth/rabbitmq/vhost"),
    (rabbitmq.BrokerResource, "/auth/rabbitmq/resource"),
    (rabbitmq.BrokerTopic, "/auth/rabbitmq/topic"),
]


class OpenApi(Resource):
    """``/v1/openapi.json``."""

    @operation("Describe the API", None)
    def get(self) -> dict[str, Any]:
        """This document."""
        return openapi.document(ROUTES)


ROUTES.append((OpenApi, "/v1/openapi.json"))
