"""Celery's remote control with narrow rights: beat asks, workers hear and answer.

The exchange that the requests go by is durable, other than Celery's: workers have no right to declare it, and
must find it after RabbitMQ was started anew. A Celery tool that is to ask workers (Flower) takes the app of
``beat.app``, with this :class:`Control`.
"""

from __future__ import annotations

import secrets
from typing import Any

from celery.app.control import Control as CeleryControl
from kombu import Exchange, Queue
from kombu.pidbox import Mailbox as KombuMailbox


class Mailbox(KombuMailbox):  # type: ignore[misc]  # kombu has no types
    """Requests and answers over exchanges that are there."""

    def get_queue(self, hostname: str) -> Queue:
        """The worker's inbox, new for each connection: the broker may hold the queue of one that was lost."""
        return Queue(
            f"{hostname}.{secrets.token_hex(4)}.{self.exchange.name}",
            exchange=self.exchange,
            durable=False,
            exclusive=True,
            auto_delete=True,
        )

    def _get_exchange(self, namespace: str, type: str) -> Exchange:  # noqa: A002 - kombu's name
        return Exchange(self.exchange_fmt % namespace, type=type, durable=True, no_declare=True)

    def _publish_reply(
        self, reply: Any, exchange: str, routing_key: str, ticket: str, channel: Any = None, **options: Any
    ) -> None:
        # kombu's own declares the exchange, which whoever waits for the answer did.
        with self.producer_or_acquire(None, channel or self.connection.default_channel) as producer:
            producer.publish(
                reply,
                exchange=exchange,
                routing_key=routing_key,
                headers={"ticket": ticket, "clock": self.clock.forward()},
                **options,
            )


class Control(CeleryControl):  # type: ignore[misc]  # Celery has no types
    """Celery's, with our mailbox."""

    Mailbox = Mailbox
