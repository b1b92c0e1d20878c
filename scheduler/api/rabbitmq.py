"""RabbitMQ's questions (``rabbitmq_auth_backend_http``): who may connect, and what may they do there.

The broker asks with forms and reads one word. A question that can't be answered now is refused; the worker
tries again.
"""

from __future__ import annotations

from pydantic import ConfigDict, Field

from cardshop.contract import names
from cardshop.contract.errors import TooManyRequests
from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given
from scheduler.domain import broker_rights

ALLOW = "allow"
DENY = "deny"


class Question(Given):
    """What all questions have in common; the broker adds fields from version to version."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    username: str = Field(max_length=64)


class UserQuestion(Question):
    """Whether an account may connect."""

    password: str = Field(default="", max_length=1024)


class VhostQuestion(Question):
    """Whether it may use a virtual host."""

    vhost: str


class ResourceQuestion(VhostQuestion):
    """Whether it may configure, write or read an exchange or queue."""

    resource: str  # "exchange" or "queue"
    name: str
    permission: str  # "configure", "write" or "read"


class TopicQuestion(ResourceQuestion):
    """Whether it may publish with, or bind to, a routing key of a topic exchange."""

    routing_key: str


class BrokerUser(Resource):
    """``/auth/rabbitmq/user``."""

    @operation("RabbitMQ: may this account connect?", None, body=UserQuestion, form=True)
    def post(self, body: UserQuestion) -> str:
        """Workers, monitor and beat may, with their password."""
        try:
            return _word(self.services.accounts.may_connect_to_broker(body.username, body.password))
        except TooManyRequests:
            return DENY


class BrokerVhost(Resource):
    """``/auth/rabbitmq/vhost``."""

    @operation("RabbitMQ: may it use this virtual host?", None, body=VhostQuestion, form=True)
    def post(self, body: VhostQuestion) -> str:
        """There is one."""
        role = self.services.accounts.broker_role(body.username)
        return _word(role is not None and body.vhost == names.VHOST)


class BrokerResource(Resource):
    """``/auth/rabbitmq/resource``."""

    @operation("RabbitMQ: may it use this exchange or queue?", None, body=ResourceQuestion, form=True)
    def post(self, body: ResourceQuestion) -> str:
        """By the role's table."""
        role = self.services.accounts.broker_role(body.username)
        return _word(
            role is not None
            and broker_rights.may_use_resource(
                role, body.username, body.vhost, body.resource, body.name, body.permission
            )
        )


class BrokerTopic(Resource):
    """``/auth/rabbitmq/topic``."""

    @operation("RabbitMQ: may it use this routing key?", None, body=TopicQuestion, form=True)
    def post(self, body: TopicQuestion) -> str:
        """By the role's table."""
        role = self.services.accounts.broker_role(body.username)
        return _word(
            role is not None
            and broker_rights.may_use_topic(
                role, body.username, body.vhost, body.name, body.permission, body.routing_key
            )
        )


def _word(allowed: bool) -> str:
    return ALLOW if allowed else DENY
