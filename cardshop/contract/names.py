"""Names that both sides of the broker must agree on."""

import re

VHOST = "cardshop"

TASK_EXCHANGE = "cardshop.tasks"
"""Direct, durable. Routing key = queue name."""

EVENT_EXCHANGE = "cardshop.events"
"""Topic, durable. Celery's own events and ours; routing key as Celery makes it (``task.progress``)."""

EVENT_QUEUE = "cardshop.events"
"""The one durable queue that monitors consume, bound to :data:`EVENT_EXCHANGE` with ``#``."""

DEAD_LETTER_EXCHANGE = "cardshop.dead-letters"
"""Fanout, durable. Where task messages go that were delivered too often."""

DEAD_LETTER_QUEUE = "cardshop.dead-letters"

CONTROL_EXCHANGE = "celery.pidbox"
"""Fanout. Requests to stop a task reach all workers by it; only beat writes to it. The name is Celery's."""

CONTROL_REPLY_EXCHANGE = "reply.celery.pidbox"
"""Direct. The answers to such requests; the name is Celery's."""

STOP_COMMAND = "stop_attempt"
"""Control command of ours, with ``task_id`` and ``attempt``: end the work on that attempt only. Celery's own
``revoke``, which ends a task whatever its attempt, is for one that is canceled."""

CREATE_QUEUE = "create"
"""Shared by all creators."""

CREATE_TASK = "cardshop.create"
WRITE_TASK = "cardshop.write"

DELIVERY_LIMIT = 20
"""Deliveries of one task message before it is a dead letter (it killed its worker each time)."""

SLOT_NAME = re.compile(r"[A-Za-z0-9-]{1,16}")
"""What a slot may be called: it stands in names of accounts and in paths of the database."""


def write_queue(writer: str) -> str:
    """Name of the queue that only ``writer`` (its user name) may read."""
    return f"write.{writer}"
